"""A folder as one zip archive, built while it is sent: the same files give the same bytes, and no copy is stored."""

import hashlib
import io
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from slipway.dataset.source_folder import source_files
from slipway.errors import InputError
from slipway.store.folder import FolderStore

_CHUNK_BYTES = 1 << 20
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the earliest date in a zip; the archive leaves out modification times
_PLAIN_FILE = 0o100644 << 16


@dataclass(frozen=True)
class Archive:
    """The archive that a folder will become.

    Attributes:
      files: Paths below the folder, sorted.
      size: Bytes of the archive.
      sha256: Digest of the archive.
    """

    folder: Path
    files: tuple[str, ...]
    size: int
    sha256: str

    def chunks(self) -> Iterator[bytes]:
        """Build the archive. Raises `InputError` where a file has changed since `survey` read it."""
        digest, previous = hashlib.sha256(), b""
        for chunk in _zip(self.folder, self.files):
            digest.update(chunk)
            yield previous
            previous = chunk
        if digest.hexdigest() != self.sha256:
            raise InputError(f"{self.folder}: a file changed while it was sent; run the same command again")
        yield previous  # held back until now, so that a changed folder never arrives as a whole archive

    def parts(self, size: int) -> Iterator[bytes]:
        """Build the archive in parts of one size; the last may be smaller."""
        buffer = bytearray()
        for chunk in self.chunks():
            buffer += chunk
            while len(buffer) >= size:
                yield bytes(buffer[:size])
                del buffer[:size]
        if buffer:
            yield bytes(buffer)


def survey(folder: Path, report: Callable[[int], None] = lambda _: None) -> Archive:
    """Read a folder once to compute size and digest of its archive.

    Args:
      report: Called after each chunk with the number of bytes so far.

    Raises:
      InputError: There is no such folder, it is empty, or a file cannot be read or named in an archive.
    """
    if not folder.is_dir():
        fault = "is a file" if folder.exists() else "no such folder"
        raise InputError(f"{folder}: {fault}; give the folder that holds the images and their annotations")
    files = tuple(source_files(FolderStore(folder)))
    if not files:
        raise InputError(f"{folder}: no file in it; give the folder that holds the images and their annotations")
    size, digest = 0, hashlib.sha256()
    for chunk in _zip(folder, files):
        size += len(chunk)
        digest.update(chunk)
        report(size)
    return Archive(folder, files, size, digest.hexdigest())


class _Buffer(io.RawIOBase):
    """A file that keeps bytes until they are taken. It cannot seek, so the zip is written forwards."""

    def __init__(self) -> None:
        self.content = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, content: bytes) -> int:  # type: ignore[override]
        self.content += content
        return len(content)

    def take(self) -> bytes:
        content = bytes(self.content)
        self.content.clear()
        return content


def _zip(folder: Path, files: tuple[str, ...]) -> Iterator[bytes]:
    """Store the files, uncompressed: images do not get smaller, and they are nearly all of it."""
    buffer = _Buffer()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in files:
            with _open_source(folder / name) as source, archive.open(_entry(folder, name), "w") as target:
                while content := source.read(_CHUNK_BYTES):
                    target.write(content)
                    yield buffer.take()
    yield buffer.take()


def _entry(folder: Path, name: str) -> zipfile.ZipInfo:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{folder}: the name {name!r} is not UTF-8, as an archive needs; rename the file") from error
    entry = zipfile.ZipInfo(name, _LONG_AGO)
    entry.create_system, entry.external_attr = 3, _PLAIN_FILE  # Unix, whatever system it is built on
    entry.file_size = (folder / name).stat().st_size  # tells the library whether the entry needs 64 bits
    return entry


@contextmanager
def _open_source(path: Path) -> Iterator[BinaryIO]:
    """Open a file. Raises `InputError`, since an `OSError` here would be taken for one of the network."""
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}; mend or remove it, and try again") from error
