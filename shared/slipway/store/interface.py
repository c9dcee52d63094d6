"""The interface of every object store, and transfers of whole folders over it."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, TypeVar

from slipway.errors import InputError

CHUNK_BYTES = 1 << 20
TEMPORARY = ".tmp"  # a folder of a store's own below its root; no key begins with it
_TRANSFERS = 8

T = TypeVar("T")
U = TypeVar("U")


class Stat(NamedTuple):
    """Size and version of a key.

    Attributes:
      size: Bytes.
      etag: Differs whenever the content does; without quotes.
    """

    size: int
    etag: str


class Listed(NamedTuple):
    """An entry of a listing.

    Attributes:
      size: Bytes.
      modified_at: Time of the last write, in seconds since 1970, by the store's clock.
    """

    key: str
    size: int
    modified_at: float


@dataclass(frozen=True)
class Content:
    """A key's bytes, or a range of them, as they were at one moment, whatever is written meanwhile.

    Attributes:
      stat: Of the whole key, at that moment.
      chunks: Can be read once; reading raises the store's errors.
      close: Closes the file or the connection; reading all chunks does so too.
    """

    stat: Stat
    chunks: Iterator[bytes]
    close: Callable[[], None]


class ObjectStore(Protocol):
    """Keys to bytes. A key is written whole or not at all, and never seen half-written.

    Keys are relative, with `/` between names; a key is never also the folder of another.
    Every method raises `StoreRefused` when the store's answer is no and `StoreUnavailable` when there is none.
    """

    url: str

    def read(self, key: str) -> bytes:
        """Return the bytes. Raises `MissingKey`."""

    def write(self, key: str, content: bytes) -> None:
        """Create or replace the key."""

    def create(self, key: str, content: bytes) -> bool:
        """Create the key unless it exists, and return whether this call did.

        Only some S3 servers refuse the second of two simultaneous calls: no correctness may rest on that.
        """

    def stat(self, key: str) -> Stat | None:
        """Return size and version, or None when there is no such key."""

    def stream(self, key: str, start: int = 0, end: int | None = None) -> Content:
        """Open the key for reading in chunks, from `start` up to but excluding `end`. Raises `MissingKey`.

        `start` must lie inside the key, or be 0.
        """

    def presign(self, key: str, method: Literal["GET", "PUT"], seconds: int) -> str | None:
        """Return an address that anyone who has it may use for that long; None where the store has no addresses."""

    def scan(self, prefix: str = "") -> Iterator[Listed]:
        """Yield the keys below the folder `prefix` with size and time, sorted; nothing when it is absent.

        A key that is deleted meanwhile may be missing.
        """

    def delete(self, key: str) -> None:
        """Remove the key; an absent one is no error."""

    def download(self, key: str, path: Path) -> None:
        """Copy the key to a local file, whole or not at all. Raises `MissingKey`."""

    def upload(self, path: Path, key: str) -> None:
        """Copy a local file to the key."""


def key_names(key: str) -> list[str]:
    """Split a key into its names.

    Raises:
      InputError: It is not a key of any store.
    """
    names = key.split("/")
    if not key or any(name in ("", ".", "..", TEMPORARY) or "\0" in name for name in names):
        raise InputError(f"key {key!r} is not a relative path of plain names; remove '..', '.' and empty parts")
    return names


def list_keys(store: ObjectStore, prefix: str = "") -> Iterator[str]:
    """Yield the keys below the folder `prefix`, sorted; nothing when it is absent."""
    return (entry.key for entry in store.scan(prefix))


def download_all(store: ObjectStore, prefix: str, folder: Path) -> list[Path]:
    """Copy every key below `prefix` into `folder`, keeping their names; return the files."""
    files = {key: folder / key.removeprefix(f"{prefix}/") for key in list_keys(store, prefix)}
    in_parallel(lambda key: store.download(key, files[key]), files)
    return list(files.values())


def upload_all(store: ObjectStore, folder: Path, prefix: str) -> list[str]:
    """Copy every file below `folder` to keys below `prefix`; return the keys."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = {f"{prefix}/{path.relative_to(folder).as_posix()}": path for path in paths}
    in_parallel(lambda key: store.upload(files[key], key), files)
    return list(files)


def delete_all(store: ObjectStore, prefix: str) -> None:
    """Remove every key below `prefix`."""
    in_parallel(store.delete, list_keys(store, prefix))


def in_parallel(call: Callable[[T], U], items: Iterable[T], at_once: int = _TRANSFERS) -> list[U]:
    """Call with each item, several at once; return the results in the items' order.

    The first failure or a signal ends it; calls that have not begun by then are not made.
    """
    context = copy_context()  # so that a failed try of a part is counted for the operation that it is part of
    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(lambda item: context.copy().run(call, item), items))
