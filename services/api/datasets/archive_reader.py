"""The entries of a zip or tar.gz from a stranger, one after the other, in little memory.

A zip is read through its directory, at its end: its local headers may lack the sizes, and may name what the directory
does not. Of a tar.gz nothing but the stream is needed. What an entry holds is up to its reader to limit.
"""

import gzip
import io
import math
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from slipway.errors import InputError, SlipwayError

_CHUNK_BYTES = 256 << 10
_DIRECTORY_BYTES = 256  # of a zip's directory, for each entry that is allowed: its header, its name, and times
_HEADER_BYTES = 1 << 20  # between two contents of a tar: headers, and long names
_BLOCK_BYTES = 512
_LOCAL_HEADER_BYTES = 30  # before an entry's name and content in a zip
_ENTRY_MARK = b"PK\1\2"
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_NAMED_IN_UTF8 = 0x800
_DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    ValueError,
)


class BadArchive(InputError):
    """The archive cannot be read, or holds what is not taken."""


@dataclass(frozen=True)
class Entry:
    """One file or folder of an archive.

    Attributes:
      name: As the archive spells it, hostile or not.
      chunks: To be read to their end before the next entry is asked for: what is skipped, tarfile reads by itself, for
        as long as a header claims.
    """

    name: str
    is_folder: bool
    chunks: Iterator[bytes]


def entries(file: IO[bytes], most: int) -> Iterator[Entry]:
    """Read an archive's entries.

    Args:
      file: At its beginning; it can seek.
      most: Entries that are allowed.

    Raises:
      BadArchive: While the entries, or their chunks, are read: what the archive is made of is not taken.
    """
    magic = file.read(4)
    if not magic:
        raise BadArchive("the archive is empty; send a zip or a tar.gz")
    # zipfile takes every OSError at the file's end for damage, and the store's no is one: meet it here.
    file.seek(-1, os.SEEK_END)
    file.read(1)
    file.seek(0)
    if magic.startswith(b"PK"):
        read = _zip_entries
    elif magic.startswith(b"\x1f\x8b"):
        read = _tar_entries
    else:
        raise BadArchive(f"the archive begins with {magic!r}: it is neither a zip nor a tar.gz; send one of these")
    with _readable():
        for number, entry in enumerate(read(file, most), start=1):
            if number > most:
                raise _too_many(most)
            yield entry


@contextmanager
def _readable() -> Iterator[None]:
    """Call whatever the libraries find wrong with an archive by one name."""
    try:
        yield
    except SlipwayError:
        raise
    except _DAMAGE as error:
        said = str(error).rstrip(".") or type(error).__name__
        raise BadArchive(f"the archive is damaged, or cut short: {said}; make it again, and send it again") from error


def _zip_entries(file: IO[bytes], most: int) -> Iterator[Entry]:
    with zipfile.ZipFile(_Directory(file, most)) as archive:
        end = 0
        for info in sorted(archive.infolist(), key=lambda info: info.header_offset):
            name = _zip_name(info)
            _check_zip(info, name)
            if info.header_offset < end:
                raise BadArchive(f"{name!r} overlaps another file of the archive; make the archive again")
            end = info.header_offset + _LOCAL_HEADER_BYTES + info.compress_size
            is_folder = name.endswith("/")
            yield Entry(name, is_folder, iter(()) if is_folder else _zip_chunks(archive, info))


def _zip_chunks(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    with _readable(), archive.open(info) as content:
        while chunk := content.read(_CHUNK_BYTES):
            yield chunk


def _zip_name(info: zipfile.ZipInfo) -> str:
    """Return the name with all of its bytes; many programs write UTF-8 without saying so."""
    if info.flag_bits & _NAMED_IN_UTF8:
        return info.orig_filename
    return info.orig_filename.encode("cp437").decode(errors="surrogateescape")


def _check_zip(info: zipfile.ZipInfo, name: str) -> None:
    if info.flag_bits & _ENCRYPTED:
        raise BadArchive(f"{name!r} is encrypted; make the archive without a password")
    if info.compress_type not in _METHODS:
        raise BadArchive(
            f"{name!r} is compressed by method {info.compress_type}; make the archive with deflate, zip's usual one"
        )
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _no_file(name, "a link" if kind == stat.S_IFLNK else "a device")


def _tar_entries(file: IO[bytes], most: int) -> Iterator[Entry]:
    with gzip.GzipFile(fileobj=file) as plain:
        metered = _Metered(plain.read)
        with tarfile.open(
            fileobj=metered, mode="r|", bufsize=_CHUNK_BYTES, encoding="utf-8", errors="surrogateescape"
        ) as archive:
            while (member := archive.next()) is not None:
                archive.members.clear()  # type: ignore[attr-defined]  # it would remember them all
                _check_tar(member)
                metered.left = math.inf
                yield Entry(member.name, member.isdir(), _tar_chunks(archive, member))
                metered.left = _HEADER_BYTES
        while metered.read(_CHUNK_BYTES):  # to the checksum at the end
            pass
        if metered.tail != bytes(_BLOCK_BYTES):
            raise BadArchive("the archive is cut short: its end is missing; make it again, and send it again")


def _tar_chunks(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[bytes]:
    with _readable():
        content = archive.extractfile(member)
        while content and (chunk := content.read(_CHUNK_BYTES)):
            yield chunk


def _check_tar(member: tarfile.TarInfo) -> None:
    if member.issym() or member.islnk():
        raise _no_file(member.name, "a link")
    if not (member.isdir() or member.isreg()) or member.issparse():
        raise _no_file(member.name, "a sparse file" if member.issparse() else "a device")


def _no_file(name: str, kind: str) -> BadArchive:
    return BadArchive(f"{name!r} is {kind}; an archive may hold plain files and folders only")


def _too_many(most: int) -> BadArchive:
    return BadArchive(f"the archive has more than {most:,} entries; send it in parts, or raise the limit")


class _Directory(io.BufferedIOBase):
    """A zip whose directory, which zipfile reads at once, is looked at before zipfile makes objects of it."""

    def __init__(self, file: IO[bytes], most: int) -> None:
        self._file, self._most = file, most

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0:  # only ever from where the last 64 KiB begin
            size = _CHUNK_BYTES
        if size > max(_CHUNK_BYTES, self._most * _DIRECTORY_BYTES):
            raise _too_many(self._most)
        content = self._file.read(size)
        if size > _CHUNK_BYTES and content.count(_ENTRY_MARK) > self._most:
            raise _too_many(self._most)
        return content


class _Metered(io.RawIOBase):
    """A tar that is read no further than allowed: tarfile takes headers of any length.

    Attributes:
      left: Bytes that may still be read.
      tail: The last block.
    """

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self.left: float = _HEADER_BYTES
        self.tail = b""

    def read(self, size: int = -1) -> bytes:
        content = self._read(size)
        self.left -= len(content)
        if self.left < 0:
            raise BadArchive(f"the archive has more than {_HEADER_BYTES:,} bytes between two files; make it again")
        self.tail = (self.tail + content[-_BLOCK_BYTES:])[-_BLOCK_BYTES:]
        return content
