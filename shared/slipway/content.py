"""What is read in pieces: a key's content for those who cannot, or need not, hold the whole of it."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from slipway.errors import StoreUnavailable

CHUNK_BYTES = 1 << 20


class Stat(NamedTuple):
    """What is known of a key without reading it.

    Attributes:
      size: Bytes.
      etag: Another whenever the content is; without quotes.
    """

    size: int
    etag: str


class Listed(NamedTuple):
    """A key as a listing tells of it.

    Attributes:
      size: Bytes.
      modified: When it was last written, in seconds since 1970, by the store's clock.
    """

    key: str
    size: int
    modified: float


@dataclass(frozen=True)
class Content:
    """A key's bytes, or a range of them, as they were at one moment, whatever is written meanwhile.

    Attributes:
      stat: Of the whole key, at that moment.
      chunks: To be read once; their failures are the store's.
      close: Let go of the file or the connection; when the chunks have been read, that has been done.
    """

    stat: Stat
    chunks: Iterator[bytes]
    close: Callable[[], None]


def file_stat(status: os.stat_result) -> Stat:
    """Describe a file by its place on the disk: a new one is renamed over it, never written into."""
    return Stat(status.st_size, f"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}")


def file_copy(source: Path, target: Path) -> None:
    """Copy a file, whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.part")
    shutil.copyfile(source, partial)
    partial.replace(target)


def file_content(path: Path, start: int, end: int | None) -> Content:
    """Open a file for reading from `start` up to `end`, or to its end."""
    file = path.open("rb")
    stat = file_stat(os.fstat(file.fileno()))
    return Content(stat, _chunks(file, start, stat.size if end is None else min(end, stat.size)), file.close)


def _chunks(file: BinaryIO, start: int, end: int) -> Iterator[bytes]:
    with file:
        file.seek(start)
        while start < end:
            chunk = file.read(min(CHUNK_BYTES, end - start))
            if not chunk:
                raise StoreUnavailable(f"{file.name}: became shorter while it was read; try again")
            start += len(chunk)
            yield chunk
