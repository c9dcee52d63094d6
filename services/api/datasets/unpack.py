"""Unpack an archive from a stranger into a store: every name and every byte is looked at first."""

import mimetypes
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import IO

from slipway.dataset.source_folder import is_noise
from slipway.store.interface import ObjectStore, in_parallel

from services.api.datasets.archive_reader import BadArchive, Entry, entries

_BATCH_BYTES = 16 << 20  # held in memory, and then written at once
_BATCH_FILES = 256
_UNSUSPICIOUS_BYTES = 64 << 20  # however small the archive is
_NAME_BYTES = 255  # of one name; more than that no file system takes
_DRIVE = re.compile(r"[A-Za-z]:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SHOWN = 120


@dataclass(frozen=True)
class Limits:
    """What an archive may hold.

    Attributes:
      entries: Files and folders; a zip's directory takes about 1 KiB of memory for each.
      total_bytes: Of all files.
      file_bytes: Of one file, which is held in memory.
      ratio: How many times the archive's own size its files may be; JPEGs hardly get smaller, XML about twenty times.
      depth: Folders within folders.
      path_bytes: Of a file's whole name; an S3 key ends at 1,024 with all that comes before.
    """

    entries: int = 100_000
    total_bytes: int = 20 << 30
    file_bytes: int = 64 << 20
    ratio: int = 100
    depth: int = 20
    path_bytes: int = 700


@dataclass
class Unpacked:
    """What an archive held.

    Attributes:
      images: Files whose names end as images' do.
      skipped: Hidden files, and what other systems leave behind: ingest would pass over them, too.
      top: The one folder that all files are in, or empty.
    """

    files: int = 0
    images: int = 0
    bytes: int = 0
    skipped: int = 0
    top: str = ""


def unpack(archive: IO[bytes], size: int, target: tuple[ObjectStore, str], limits: Limits) -> Unpacked:
    """Write an archive's files below a prefix; what was written before a failure is there.

    Args:
      archive: At its beginning; it can seek.
      size: Of the archive, bytes.
      target: The store and the prefix.

    Raises:
      BadArchive: It is damaged, holds what is not taken, or exceeds a limit.
    """
    store, prefix = target
    reading = _Reading(limits, min(limits.total_bytes, max(_UNSUSPICIOUS_BYTES, limits.ratio * size)))
    for batch in _batches(reading.files(entries(archive, limits.entries))):
        in_parallel(lambda file: store.write(f"{prefix}/{file[0]}", file[1]), batch)
    if not reading.names.files:
        raise BadArchive("the archive holds no file; send a folder of annotated images")
    return reading.counted()


def file_key(name: str, limits: Limits) -> str:
    """Return the key that a name in an archive means.

    Raises:
      BadArchive: The name leads out of the folder, or not every system can have it.
    """
    shown = name if len(name) <= _SHOWN else f"{name[:_SHOWN]}…"
    parts = [part for part in name.split("/") if part not in ("", ".")]
    try:
        path_bytes, longest = len(name.encode()), max((len(part.encode()) for part in parts), default=0)
    except UnicodeEncodeError as error:
        raise BadArchive(f"the name {shown!r} is not UTF-8; rename the file, or make the archive with it") from error
    if name.startswith("/") or _DRIVE.match(name):
        raise BadArchive(f"the name {shown!r} is absolute; make the archive of a folder's content")
    if "\\" in name:
        raise BadArchive(f"the name {shown!r} has a backslash; make the archive with a program that separates by '/'")
    if ".." in parts:
        raise BadArchive(f"the name {shown!r} leads out of its folder; make the archive of a folder's content")
    if _CONTROL.search(name):
        raise BadArchive(f"the name {shown!r} has a control character; rename the file")
    if path_bytes > limits.path_bytes or longest > _NAME_BYTES:
        raise BadArchive(
            f"the name {shown!r} has {path_bytes} bytes, at most {limits.path_bytes}, and {_NAME_BYTES} between two "
            "'/', are taken; shorten it"
        )
    if len(parts) - 1 > limits.depth:
        raise BadArchive(f"{shown!r} is {len(parts) - 1} folders deep, at most {limits.depth} are taken; move it up")
    return "/".join(parts)


@dataclass
class _Names:
    """Those that were taken; no two may be one key, and none the folder of another."""

    files: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)

    def take(self, key: str) -> None:
        if key in self.files:
            raise BadArchive(f"{key!r} is in the archive twice; make the archive again")
        above = {key[:at] for at, letter in enumerate(key) if letter == "/"}
        if key in self.folders or self.files & above:
            raise BadArchive(f"{key!r} is, or is in, a folder that is a file as well; make the archive again")
        self.files.add(key)
        self.folders |= above

    def top(self) -> str:
        tops = {key.partition("/")[0] for key in self.files}
        return tops.pop() if len(tops) == 1 and not tops & self.files else ""


class _Reading:
    """One reading of an archive, and what it came to so far."""

    def __init__(self, limits: Limits, most_bytes: int) -> None:
        self._limits, self._most_bytes = limits, most_bytes
        self._taken, self._left = Unpacked(), most_bytes
        self.names = _Names()

    def files(self, found: Iterator[Entry]) -> Iterator[tuple[str, bytes]]:
        """Yield the key and the content of each file that is to be written."""
        for entry in found:
            key = file_key(entry.name, self._limits)
            if entry.is_folder:
                continue
            if not key:
                raise BadArchive(f"a file is called {entry.name!r}, which is no name; make the archive again")
            content = self._content(entry)
            if any(is_noise(part) for part in key.split("/")):
                self._taken.skipped += 1
                continue
            self.names.take(key)
            self._count(key, content)
            yield key, content

    def counted(self) -> Unpacked:
        self._taken.top = self.names.top()
        return self._taken

    def _count(self, key: str, content: bytes) -> None:
        kind = mimetypes.guess_type(key, strict=False)[0] or ""
        self._taken.files += 1
        self._taken.images += kind.startswith("image/")
        self._taken.bytes += len(content)

    def _content(self, entry: Entry) -> bytes:
        content = BytesIO()
        for chunk in entry.chunks:
            content.write(chunk)
            if content.tell() > self._limits.file_bytes:
                raise BadArchive(
                    f"{entry.name!r} has more than {self._limits.file_bytes:,} bytes; leave it out, or make it smaller"
                )
            self._left -= len(chunk)
            if self._left < 0:
                raise BadArchive(
                    f"the archive holds more than {self._most_bytes:,} bytes, as much as is taken of one of its size; "
                    "send it in parts, or compress it less"
                )
        return content.getvalue()  # not a copy, as bytes(bytearray) would be


def _batches(files: Iterator[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    batch, held = list[tuple[str, bytes]](), 0
    for file in files:
        batch.append(file)
        held += len(file[1])
        if held >= _BATCH_BYTES or len(batch) == _BATCH_FILES:
            yield batch
            batch, held = [], 0
    yield batch
