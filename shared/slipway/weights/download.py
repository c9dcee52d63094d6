"""The download of pretrained weights from a server that is not trusted, and the unpacking of their archive."""

import ipaddress
import time
import urllib.error
import urllib.request
from http.client import HTTPMessage
from pathlib import Path
from typing import IO, Any
from urllib.parse import urljoin, urlsplit

from slipway.archives import BadArchive, Entry, read_entries
from slipway.errors import InputError, TransientError
from slipway.text import format_bytes

MAX_BYTES = 4 << 30  # of an archive, and of the files in it
MAX_FILES = 1000
_ANSWER_SEC = 60.0  # for the answer's start, and for each of its pauses
_TRANSFER_SEC = 1800.0
_CHUNK_BYTES = 1 << 20


def download(address: str, path: Path) -> None:
    """Copy the file at an address.

    Raises:
      InputError: The address is not encrypted, the server refuses, or the file is too large.
      TransientError: The server does not answer, or is too slow.
    """
    check_address(address)
    opener = urllib.request.build_opener(_SafeRedirects)
    deadline, size = time.monotonic() + _TRANSFER_SEC, 0
    try:
        with opener.open(address, timeout=_ANSWER_SEC) as response, path.open("wb") as file:
            while chunk := response.read1(_CHUNK_BYTES):  # returns what has arrived, so that the deadline is noticed
                size += len(chunk)
                if size > MAX_BYTES:
                    raise InputError(f"the file has more than {format_bytes(MAX_BYTES)}")
                if time.monotonic() > deadline:
                    raise TransientError(f"{format_bytes(size)} arrived in {_TRANSFER_SEC:.0f} s")
                file.write(chunk)
    except urllib.error.HTTPError as error:
        raise InputError(f"the server says {error.code} {error.reason}") from error
    except OSError as error:
        raise TransientError(f"{error}; try again, or give a folder") from error


def check_address(address: str) -> None:
    """Check that what is fetched cannot be exchanged on the way. Raises `InputError`."""
    url = urlsplit(address)
    if url.scheme != "https" and not (url.scheme == "http" and _is_loopback(url.hostname or "")):
        raise InputError(
            f"{url.scheme}://{url.netloc} is not encrypted, so anyone on the way could exchange the weights; use "
            "https://, or fetch the file and give its folder"
        )


def unpack_file(archive: Path, folder: Path) -> None:
    """Write the files of a local `.tar.gz` into a folder. Raises `BadArchive` as `unpack` does."""
    with archive.open("rb") as file:
        unpack(file, folder)


def unpack(archive: IO[bytes], folder: Path) -> None:
    """Write the files of a `.tar.gz` or a zip into a folder.

    Args:
      archive: At its beginning; it can seek.

    Raises:
      BadArchive: It is damaged or too large, or a file is a link or would be outside of the folder.
    """
    bytes_left = MAX_BYTES
    for entry in read_entries(archive, MAX_FILES):
        path = _path(entry.name, folder)
        if not entry.is_folder:
            with _create(path, entry.name) as target:
                bytes_left = _copy(entry, target, bytes_left)


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to addresses that may be given as well."""

    max_redirections = 5

    def http_error_302(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage
    ) -> Any:
        if target := headers.get("Location"):
            check_address(urljoin(req.full_url, target))
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _path(name: str, folder: Path) -> Path:
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or "\\" in name or "\0" in name or any(len(p) > 255 for p in parts):
        raise BadArchive(f"{name[:200]!r} is outside the archive's own folder, or is not a name of a file")
    return folder.joinpath(*parts)


def _create(path: Path, name: str) -> IO[bytes]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("xb")
    except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
        raise BadArchive(f"{name[:200]!r} is in the archive twice, or is a file and a folder") from error


def _copy(entry: Entry, target: IO[bytes], bytes_left: int) -> int:
    """Write one file, and return how many bytes may follow it."""
    for chunk in entry.chunks:
        bytes_left -= len(chunk)
        if bytes_left < 0:
            raise BadArchive(f"the archive holds more than {format_bytes(MAX_BYTES)}")
        target.write(chunk)
    return bytes_left
