"""A reader of untrusted archives, zip, tar.gz and tar: one entry after the other, in little memory.

A zip is read through the directory at its end, since its local headers may lack sizes and may name files that the
directory does not. A tar is read as a stream. The reader of an entry has to limit the bytes that it takes.
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
_DIRECTORY_BYTES = 256  # of a zip's directory for each entry: a header, a name, and times
_HEADER_BYTES = 1 << 20  # between the contents of two files of a tar: headers, and long names
_BLOCK_BYTES = 512
_TAR_MARK_AT = 257  # in the header of a tar's first file
_LOCAL_HEADER_BYTES = 30  # before an entry's name and content in a zip
_ENTRY_MARK = b"PK\1\2"
_COMPRESSION_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_ENCRYPTION_FLAGS = 0x1 | 0x40 | 0x2000
_UTF8_NAME_FLAG = 0x800
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
    """The archive cannot be read, or holds something that is not accepted."""


@dataclass(frozen=True)
class Entry:
    """One file or folder of an archive.

    Attributes:
      name: As the archive spells it; it may be hostile.
      chunks: Read them to their end before the next entry: tarfile would read skipped bytes by itself, as many as a
        header claims.
    """

    name: str
    is_folder: bool
    chunks: Iterator[bytes]


def read_entries(file: IO[bytes], max_entries: int) -> Iterator[Entry]:
    """Read an archive's entries.

    Args:
      file: At its beginning; it can seek.
      max_entries: An archive with more is refused.

    Raises:
      BadArchive: The archive is damaged or not accepted; also raised while the entries or their chunks are read.
    """
    head = file.read(_BLOCK_BYTES)
    magic = head[:4]
    if not magic:
        raise BadArchive("the archive is empty; send a zip or a tar.gz")
    # zipfile takes every OSError at the end of the file for damage, even a refusal of the store: so read there first.
    file.seek(-1, os.SEEK_END)
    file.read(1)
    file.seek(0)
    if magic.startswith(b"PK"):
        read_format = _zip_entries
    elif magic.startswith(b"\x1f\x8b"):
        read_format = _tar_gz_entries
    elif head[_TAR_MARK_AT:].startswith(b"ustar"):
        read_format = _plain_tar_entries
    else:
        raise BadArchive(f"the archive begins with {magic!r}: it is neither a zip nor a tar.gz; send one of these")
    with _as_bad_archive():
        for number, entry in enumerate(read_format(file, max_entries), start=1):
            if number > max_entries:
                raise _too_many_entries(max_entries)
            yield entry


@contextmanager
def _as_bad_archive() -> Iterator[None]:
    """Turn every error that the libraries raise for a damaged archive into `BadArchive`."""
    try:
        yield
    except SlipwayError:
        raise
    except _DAMAGE as error:
        reason = str(error).rstrip(".") or type(error).__name__
        raise BadArchive(f"the archive is damaged, or cut short: {reason}; make it again, and send it again") from error


def _zip_entries(file: IO[bytes], max_entries: int) -> Iterator[Entry]:
    with zipfile.ZipFile(_ZipFileGuard(file, max_entries)) as archive:
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
    with _as_bad_archive(), archive.open(info) as content:
        while chunk := content.read(_CHUNK_BYTES):
            yield chunk


def _zip_name(info: zipfile.ZipInfo) -> str:
    """Return the name with all of its bytes: many programs write UTF-8 without setting the flag for it."""
    if info.flag_bits & _UTF8_NAME_FLAG:
        return info.orig_filename
    return info.orig_filename.encode("cp437").decode(errors="surrogateescape")


def _check_zip(info: zipfile.ZipInfo, name: str) -> None:
    if info.flag_bits & _ENCRYPTION_FLAGS:
        raise BadArchive(f"{name!r} is encrypted; make the archive without a password")
    if info.compress_type not in _COMPRESSION_METHODS:
        raise BadArchive(
            f"{name!r} is compressed by method {info.compress_type}; make the archive with deflate, zip's usual one"
        )
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _not_a_file(name, "a link" if kind == stat.S_IFLNK else "a device")


def _tar_gz_entries(file: IO[bytes], max_entries: int) -> Iterator[Entry]:
    with gzip.GzipFile(fileobj=file) as plain:
        yield from _tar_entries(plain.read)


def _plain_tar_entries(file: IO[bytes], max_entries: int) -> Iterator[Entry]:
    return _tar_entries(file.read)


def _tar_entries(read: Callable[[int], bytes]) -> Iterator[Entry]:
    tar = _TarLimit(read)
    with tarfile.open(
        fileobj=tar, mode="r|", bufsize=_CHUNK_BYTES, encoding="utf-8", errors="surrogateescape"
    ) as archive:
        while (member := archive.next()) is not None:
            archive.members.clear()  # type: ignore[attr-defined]  # otherwise it remembers them all
            _check_tar(member)
            tar.bytes_left = math.inf
            yield Entry(member.name, member.isdir(), _tar_chunks(archive, member))
            tar.bytes_left = _HEADER_BYTES
    while tar.read(_CHUNK_BYTES):  # up to the checksum at the end
        pass
    if tar.tail != bytes(_BLOCK_BYTES):
        raise BadArchive("the archive is cut short: its end is missing; make it again, and send it again")


def _tar_chunks(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[bytes]:
    with _as_bad_archive():
        content = archive.extractfile(member)
        while content and (chunk := content.read(_CHUNK_BYTES)):
            yield chunk


def _check_tar(member: tarfile.TarInfo) -> None:
    if member.issym() or member.islnk():
        raise _not_a_file(member.name, "a link")
    if not (member.isdir() or member.isreg()) or member.issparse():
        raise _not_a_file(member.name, "a sparse file" if member.issparse() else "a device")


def _not_a_file(name: str, kind: str) -> BadArchive:
    return BadArchive(f"{name!r} is {kind}; an archive may hold plain files and folders only")


def _too_many_entries(max_entries: int) -> BadArchive:
    return BadArchive(f"the archive has more than {max_entries:,} entries; send it in parts, or raise the limit")


class _ZipFileGuard(io.BufferedIOBase):
    """A zip file whose directory is checked before zipfile, which reads it in one piece, makes objects of it."""

    def __init__(self, file: IO[bytes], max_entries: int) -> None:
        self._file, self._max_entries = file, max_entries

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0:  # zipfile does so only in the last 64 KiB
            size = _CHUNK_BYTES
        if size > max(_CHUNK_BYTES, self._max_entries * _DIRECTORY_BYTES):
            raise _too_many_entries(self._max_entries)
        content = self._file.read(size)
        if size > _CHUNK_BYTES and content.count(_ENTRY_MARK) > self._max_entries:
            raise _too_many_entries(self._max_entries)
        return content


class _TarLimit(io.RawIOBase):
    """A tar stream with a limit on the bytes between two files, since tarfile accepts headers of any length.

    Attributes:
      bytes_left: Bytes that may still be read.
      tail: The last block that was read.
    """

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self.bytes_left: float = _HEADER_BYTES
        self.tail = b""

    def read(self, size: int = -1) -> bytes:
        content = self._read(size)
        self.bytes_left -= len(content)
        if self.bytes_left < 0:
            raise BadArchive(f"the archive has more than {_HEADER_BYTES:,} bytes between two files; make it again")
        self.tail = (self.tail + content[-_BLOCK_BYTES:])[-_BLOCK_BYTES:]
        return content
