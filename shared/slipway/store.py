"""Object storage: what the stages meet through, and the folder that serves a laptop."""

import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import copy_context
from pathlib import Path
from stat import S_ISREG
from typing import Literal, Protocol, TypeVar

from slipway.content import Content, Listed, Stat, file_content, file_copy, file_stat
from slipway.errors import InputError, MissingKey, StoreRefused
from slipway.file_errors import translated

TEMPORARY = ".tmp"  # the folder below the root whose content is nobody's key
_TRANSFERS = 8

T = TypeVar("T")
U = TypeVar("U")


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
        """Create the key unless it is there, and say whether this call did.

        Of two callers at once only some S3 servers refuse the second: let nothing's correctness rest on it.
        """

    def size(self, key: str) -> int | None:
        """Return the length in bytes, or None when there is no such key."""

    def stat(self, key: str) -> Stat | None:
        """Return what is known without reading it, or None when there is no such key."""

    def stream(self, key: str, start: int = 0, end: int | None = None) -> Content:
        """Open the key for reading in pieces, from `start` up to, but without, `end`. Raises `MissingKey`.

        `start` must lie inside the key, or be 0.
        """

    def presign(self, key: str, method: Literal["GET", "PUT"], seconds: int) -> str | None:
        """Return an address that whoever has it may use that long; None where a store has no addresses."""

    def list(self, prefix: str = "") -> Iterator[str]:
        """Yield the keys below the folder `prefix`, sorted; nothing when it is absent."""

    def scan(self, prefix: str = "") -> Iterator[Listed]:
        """List, with what is known of each key; one that is deleted meanwhile may be left out."""

    def delete(self, key: str) -> None:
        """Remove the key; an absent one is no error."""

    def download(self, key: str, path: Path) -> None:
        """Copy the key to a local file, whole or not at all. Raises `MissingKey`."""

    def upload(self, path: Path, key: str) -> None:
        """Copy a local file to the key."""


class FolderStore:
    """An `ObjectStore` in a folder: each key is a plain file that a person can open.

    A write goes to a temporary file beside the keys and is renamed into place, so a killed process leaves no half
    key; what it leaves in `.tmp` is never listed.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.url = str(root)

    def read(self, key: str) -> bytes:
        with self._translated(key):
            return self._path(key).read_bytes()

    def write(self, key: str, content: bytes) -> None:
        with self._staged(key) as staged:
            staged.write_bytes(content)

    def create(self, key: str, content: bytes) -> bool:
        if self.size(key) is not None:
            return False
        self.write(key, content)
        return True

    def size(self, key: str) -> int | None:
        stat = self.stat(key)
        return stat.size if stat else None

    def stat(self, key: str) -> Stat | None:
        path = self._path(key)
        try:
            with self._translated(key):
                status = path.stat()
        except MissingKey:
            return None
        return file_stat(status) if S_ISREG(status.st_mode) else None

    def stream(self, key: str, start: int = 0, end: int | None = None) -> Content:
        with self._translated(key):
            return file_content(self._path(key), start, end)

    def presign(self, key: str, method: Literal["GET", "PUT"], seconds: int) -> str | None:
        return None

    def list(self, prefix: str = "") -> Iterator[str]:
        yield from self._walk(self._path(prefix) if prefix else self.root)

    def scan(self, prefix: str = "") -> Iterator[Listed]:
        for key in self.list(prefix):
            with suppress(MissingKey), self._translated(key):
                status = self._path(key).lstat()
                yield Listed(key, status.st_size, status.st_mtime)

    def delete(self, key: str) -> None:
        with self._translated(key):
            self._path(key).unlink(missing_ok=True)

    def download(self, key: str, path: Path) -> None:
        with self._translated(key):
            file_copy(self._path(key), path)

    def upload(self, path: Path, key: str) -> None:
        with self._staged(key) as staged:
            shutil.copyfile(path, staged)

    def _path(self, key: str) -> Path:
        return self.root.joinpath(*key_names(key))

    def _walk(self, folder: Path) -> Iterator[str]:
        try:
            with translated(str(folder)):
                entries = list(os.scandir(folder))
        except MissingKey:
            return
        # A folder's keys go on with a slash, and so stand behind those of `name-…` and `name.…`.
        for name, entry in sorted((entry.name + "/" * _is_folder(entry), entry) for entry in entries):
            if name.endswith("/"):
                if not (entry.name == TEMPORARY and folder == self.root):
                    yield from self._walk(Path(entry.path))
            elif _is_key(entry):
                yield Path(entry.path).relative_to(self.root).as_posix()

    @contextmanager
    def _staged(self, key: str) -> Iterator[Path]:
        path = self._path(key)
        staged = self.root / TEMPORARY / uuid.uuid4().hex
        with self._translated(key):
            try:
                staged.parent.mkdir(parents=True, exist_ok=True)
                yield staged
                path.parent.mkdir(parents=True, exist_ok=True)
                staged.replace(path)
            except NotADirectoryError as error:
                raise StoreRefused(f"{path}: a file is where a folder is needed; choose another folder") from error
            except OSError:
                staged.unlink(missing_ok=True)
                raise

    def _translated(self, key: str) -> AbstractContextManager[None]:
        return translated(f"{self.root}/{key}")


def key_names(key: str) -> list[str]:
    """Split a key into its names.

    Raises:
      InputError: It is no key, in any store.
    """
    names = key.split("/")
    if not key or any(name in ("", ".", "..", TEMPORARY) or "\0" in name for name in names):
        raise InputError(f"key {key!r} is not a relative path of plain names; remove '..', '.' and empty parts")
    return names


def download_all(store: ObjectStore, prefix: str, folder: Path) -> list[Path]:
    """Copy every key below `prefix` into `folder`, keeping their names; return the files."""
    files = {key: folder / key.removeprefix(f"{prefix}/") for key in store.list(prefix)}
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
    in_parallel(store.delete, store.list(prefix))


def in_parallel(call: Callable[[T], U], items: Iterable[T], at_once: int = _TRANSFERS) -> list[U]:
    """Call with each item, several at once; return the results in the items' order.

    The first failure, or a signal, ends it: what has not begun by then is not begun.
    """
    context = copy_context()  # so that a part's failed try is counted as the whole's
    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(lambda item: context.copy().run(call, item), items))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    with translated(entry.path):
        return entry.is_dir()


def _is_key(entry: os.DirEntry[str]) -> bool:
    """Tell files, and links that lead nowhere, from pipes and devices, which a reader would wait for."""
    return entry.is_file() or not Path(entry.path).exists()
