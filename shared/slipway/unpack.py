"""Unpacks an untrusted archive into a store; every name and every size is checked before it is written."""

import mimetypes
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import IO

from slipway.archives import BadArchive, Entry, read_entries
from slipway.dataset.source_folder import is_system_file
from slipway.store.interface import ObjectStore, in_parallel

_BATCH_BYTES = 16 << 20  # collected in memory, then written in parallel
_BATCH_FILES = 256
_MIN_LIMIT_BYTES = 64 << 20  # allowed for an archive of any size
_NAME_BYTES = 255  # of one name: the limit of most file systems
_DRIVE = re.compile(r"[A-Za-z]:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NAME_LETTERS = 120  # of a name, in a message


@dataclass(frozen=True)
class ArchiveLimits:
    """Limits on the content of an archive.

    Attributes:
      entries: Files and folders; a zip's directory takes about 1 KiB of memory for each.
      total_bytes: Of all files together.
      file_bytes: Of one file, which is held in memory.
      ratio: Largest size of all files, as a multiple of the archive's; JPEGs hardly shrink, XML about twentyfold.
      depth: Folders within folders.
      path_bytes: Of a file's whole name; an S3 key has at most 1,024 bytes, with its prefix.
    """

    entries: int = 100_000
    total_bytes: int = 20 << 30
    file_bytes: int = 64 << 20
    ratio: int = 100
    depth: int = 20
    path_bytes: int = 700


@dataclass
class UnpackResult:
    """Counts of the files of an archive.

    Attributes:
      images: Files with the extension of an image.
      skipped_files: Hidden files, and files that other systems leave behind; ingest would ignore them too.
      top: The one folder that all files are in, or an empty string.
    """

    files: int = 0
    images: int = 0
    bytes: int = 0
    skipped_files: int = 0
    top: str = ""


def unpack(archive: IO[bytes], size: int, store: ObjectStore, prefix: str, limits: ArchiveLimits) -> UnpackResult:
    """Write an archive's files below a prefix; a failure leaves the files that were written before it.

    Args:
      archive: At its beginning; it can seek.
      size: Of the archive, bytes.

    Raises:
      BadArchive: It is damaged, holds something that is not accepted, or exceeds a limit.
    """
    selection = _FileSelection(limits, min(limits.total_bytes, max(_MIN_LIMIT_BYTES, limits.ratio * size)))
    for batch in _batches(selection.files(read_entries(archive, limits.entries))):
        in_parallel(lambda file: store.write(f"{prefix}/{file[0]}", file[1]), batch)
    if not selection.keys.files:
        raise BadArchive("the archive holds no file; send a folder of annotated images")
    return selection.result()


def file_key(name: str, limits: ArchiveLimits) -> str:
    """Return the key of a file, relative to its dataset, from its name in an archive.

    Raises:
      BadArchive: The name leads out of the folder, or is not valid on every system.
    """
    short_name = name if len(name) <= _NAME_LETTERS else f"{name[:_NAME_LETTERS]}…"
    parts = [part for part in name.split("/") if part not in ("", ".")]
    try:
        path_bytes, longest = len(name.encode()), max((len(part.encode()) for part in parts), default=0)
    except UnicodeEncodeError as error:
        raise BadArchive(
            f"the name {short_name!r} is not UTF-8; rename the file, or make the archive with it"
        ) from error
    if name.startswith("/") or _DRIVE.match(name):
        raise BadArchive(f"the name {short_name!r} is absolute; make the archive of a folder's content")
    if "\\" in name:
        raise BadArchive(
            f"the name {short_name!r} has a backslash; make the archive with a program that separates by '/'"
        )
    if ".." in parts:
        raise BadArchive(f"the name {short_name!r} leads out of its folder; make the archive of a folder's content")
    if _CONTROL.search(name):
        raise BadArchive(f"the name {short_name!r} has a control character; rename the file")
    if path_bytes > limits.path_bytes or longest > _NAME_BYTES:
        raise BadArchive(
            f"the name {short_name!r} has {path_bytes} bytes, at most {limits.path_bytes}, and {_NAME_BYTES} between "
            "two '/', are taken; shorten it"
        )
    if len(parts) - 1 > limits.depth:
        raise BadArchive(
            f"{short_name!r} is {len(parts) - 1} folders deep, at most {limits.depth} are taken; move it up"
        )
    return "/".join(parts)


@dataclass
class _KeySet:
    """The keys of an archive's files: no two may be equal, and none may be the folder of another."""

    files: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)

    def add(self, key: str) -> None:
        if key in self.files:
            raise BadArchive(f"{key!r} is in the archive twice; make the archive again")
        parents = {key[:end] for end, letter in enumerate(key) if letter == "/"}
        if key in self.folders or self.files & parents:
            raise BadArchive(f"{key!r} is, or is in, a folder that is a file as well; make the archive again")
        self.files.add(key)
        self.folders |= parents

    def top(self) -> str:
        tops = {key.partition("/")[0] for key in self.files}
        return tops.pop() if len(tops) == 1 and not tops & self.files else ""


class _FileSelection:
    """Selects the files of an archive that are to be written, and counts them."""

    def __init__(self, limits: ArchiveLimits, max_bytes: int) -> None:
        self._limits, self._max_bytes = limits, max_bytes
        self._counts, self._bytes_left = UnpackResult(), max_bytes
        self.keys = _KeySet()

    def files(self, entries: Iterator[Entry]) -> Iterator[tuple[str, bytes]]:
        """Yield the key and the content of each file that is to be written."""
        for entry in entries:
            key = file_key(entry.name, self._limits)
            if entry.is_folder:
                continue
            if not key:
                raise BadArchive(f"a file is called {entry.name!r}, which is not a name; make the archive again")
            content = self._content(entry)
            if any(is_system_file(part) for part in key.split("/")):
                self._counts.skipped_files += 1
                continue
            self.keys.add(key)
            self._count(key, content)
            yield key, content

    def result(self) -> UnpackResult:
        self._counts.top = self.keys.top()
        return self._counts

    def _count(self, key: str, content: bytes) -> None:
        kind = mimetypes.guess_type(key, strict=False)[0] or ""
        self._counts.files += 1
        self._counts.images += kind.startswith("image/")
        self._counts.bytes += len(content)

    def _content(self, entry: Entry) -> bytes:
        content = BytesIO()
        for chunk in entry.chunks:
            content.write(chunk)
            if content.tell() > self._limits.file_bytes:
                raise BadArchive(
                    f"{entry.name!r} has more than {self._limits.file_bytes:,} bytes; leave it out, or make it smaller"
                )
            self._bytes_left -= len(chunk)
            if self._bytes_left < 0:
                raise BadArchive(
                    f"the archive holds more than {self._max_bytes:,} bytes, as much as is taken of one of its size; "
                    "send it in parts, or compress it less"
                )
        return content.getvalue()  # without a copy, unlike bytes(bytearray)


def _batches(files: Iterator[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    batch, batch_bytes = list[tuple[str, bytes]](), 0
    for file in files:
        batch.append(file)
        batch_bytes += len(file[1])
        if batch_bytes >= _BATCH_BYTES or len(batch) == _BATCH_FILES:
            yield batch
            batch, batch_bytes = [], 0
    yield batch
