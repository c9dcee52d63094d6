"""A folder as one archive, made while it is sent: the same files give the same bytes, and no copy is kept."""

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
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the zip's first day: when a file was touched changes nothing in the archive
_PLAIN_FILE = 0o100644 << 16


@dataclass(frozen=True)
class Archive:
    """What a folder's archive will be.

    Attributes:
      files: Below the folder, sorted.
      size: Bytes of the archive.
      sha256: Of the archive.
    """

    folder: Path
    files: tuple[str, ...]
    size: int
    sha256: str

    def chunks(self) -> Iterator[bytes]:
        """Make the archive. Raises `InputError` where a file has changed since it was surveyed."""
        digest, held = hashlib.sha256(), b""
        for chunk in _zipped(self.folder, self.files):
            digest.update(chunk)
            yield held
            held = chunk
        if digest.hexdigest() != self.sha256:
            raise InputError(f"{self.folder}: a file changed while it was sent; run the same command again")
        yield held  # so that of a changed folder no whole archive ever arrives

    def parts(self, size: int) -> Iterator[bytes]:
        """Make the archive, in parts of one size; the last may be smaller."""
        held = bytearray()
        for chunk in self.chunks():
            held += chunk
            while len(held) >= size:
                yield bytes(held[:size])
                del held[:size]
        if held:
            yield bytes(held)


def survey(folder: Path, read: Callable[[int], None] = lambda _: None) -> Archive:
    """Read a folder once, to know what its archive will be.

    Args:
      read: Hears, now and then, how many bytes were read.

    Raises:
      InputError: There is no such folder, nothing in it, or what cannot be read or named in an archive.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the folder that holds the images and their annotations")
    files = tuple(source_files(FolderStore(folder)))
    if not files:
        raise InputError(f"{folder}: no file in it; give the folder that holds the images and their annotations")
    size, digest = 0, hashlib.sha256()
    for chunk in _zipped(folder, files):
        size += len(chunk)
        digest.update(chunk)
        read(size)
    return Archive(folder, files, size, digest.hexdigest())


class _Outlet(io.RawIOBase):
    """What the zip is written to: holds what was not taken yet. It cannot seek, so the zip is written forwards."""

    def __init__(self) -> None:
        self.held = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, content: bytes) -> int:  # type: ignore[override]
        self.held += content
        return len(content)

    def take(self) -> bytes:
        taken = bytes(self.held)
        self.held.clear()
        return taken


def _zipped(folder: Path, files: tuple[str, ...]) -> Iterator[bytes]:
    """Store the files, uncompressed: images do not get smaller, and they are nearly all of it."""
    outlet = _Outlet()
    with zipfile.ZipFile(outlet, "w", zipfile.ZIP_STORED) as archive:
        for name in files:
            with _opened(folder / name) as source, archive.open(_entry(folder, name), "w") as target:
                while content := source.read(_CHUNK_BYTES):
                    target.write(content)
                    yield outlet.take()
    yield outlet.take()


def _entry(folder: Path, name: str) -> zipfile.ZipInfo:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{folder}: the name {name!r} is not UTF-8, as an archive needs; rename the file") from error
    entry = zipfile.ZipInfo(name, _LONG_AGO)
    entry.create_system, entry.external_attr = 3, _PLAIN_FILE  # Unix, wherever it is made
    entry.file_size = (folder / name).stat().st_size  # by it the library knows whether the entry needs 64 bits
    return entry


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file; what goes wrong is ours to tell, not the network's, whose errors are of the same class."""
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}; mend or remove it, and try again") from error
