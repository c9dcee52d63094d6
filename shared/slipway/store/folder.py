"""`FolderStore`: the store in a local folder, each key a plain file."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO, Literal

from slipway.errors import MissingKey, StoreRefused, StoreUnavailable
from slipway.store.file_errors import as_store_errors
from slipway.store.interface import CHUNK_BYTES, TEMPORARY, Content, Listed, Stat, key_names


class FolderStore:
    """An `ObjectStore` in a folder: each key is a plain file that a person can open.

    A write goes to a temporary file and is renamed into place, so that a killed process leaves no half-written key.
    Files that it leaves in `.tmp` are never listed.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.url = str(root)

    def read(self, key: str) -> bytes:
        with self._store_errors(key):
            return self._path(key).read_bytes()

    def write(self, key: str, content: bytes) -> None:
        with self._replacing(key) as temporary:
            temporary.write_bytes(content)

    def create(self, key: str, content: bytes) -> bool:
        if self.stat(key) is not None:
            return False
        self.write(key, content)
        return True

    def stat(self, key: str) -> Stat | None:
        path = self._path(key)
        try:
            with self._store_errors(key):
                status = path.stat()
        except MissingKey:
            return None
        return file_stat(status) if S_ISREG(status.st_mode) else None

    def stream(self, key: str, start: int = 0, end: int | None = None) -> Content:
        with self._store_errors(key):
            return file_content(self._path(key), start, end)

    def presign(self, key: str, method: Literal["GET", "PUT"], seconds: int) -> str | None:
        return None

    def scan(self, prefix: str = "") -> Iterator[Listed]:
        for key in self._walk(self._path(prefix) if prefix else self.root):
            with suppress(MissingKey), self._store_errors(key):
                status = self._path(key).lstat()
                yield Listed(key, status.st_size, status.st_mtime)

    def delete(self, key: str) -> None:
        with self._store_errors(key):
            self._path(key).unlink(missing_ok=True)

    def download(self, key: str, path: Path) -> None:
        with self._store_errors(key):
            file_copy(self._path(key), path)

    def upload(self, path: Path, key: str) -> None:
        with self._replacing(key) as temporary:
            shutil.copyfile(path, temporary)

    def _path(self, key: str) -> Path:
        return self.root.joinpath(*key_names(key))

    def _walk(self, folder: Path) -> Iterator[str]:
        try:
            with as_store_errors(str(folder)):
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
    def _replacing(self, key: str) -> Iterator[Path]:
        path = self._path(key)
        temporary = self.root / TEMPORARY / uuid.uuid4().hex
        with self._store_errors(key):
            try:
                self._make_temporary_folder()
                yield temporary
                path.parent.mkdir(parents=True, exist_ok=True)
                temporary.replace(path)
            except NotADirectoryError as error:
                raise StoreRefused(f"{path}: a file is where a folder is needed; choose another folder") from error
            except OSError:
                temporary.unlink(missing_ok=True)
                raise

    def _make_temporary_folder(self) -> None:
        try:
            (self.root / TEMPORARY).mkdir(parents=True, exist_ok=True)
        except FileNotFoundError as error:  # the file system has no folders of its users', such as /proc
            raise StoreRefused(f"{self.root}: no folder can be made here; choose another folder") from error

    def _store_errors(self, key: str) -> AbstractContextManager[None]:
        return as_store_errors(f"{self.root}/{key}")


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


def _is_folder(entry: os.DirEntry[str]) -> bool:
    with as_store_errors(entry.path):
        return entry.is_dir()


def _is_key(entry: os.DirEntry[str]) -> bool:
    """Check for a file or a dangling link, as opposed to a pipe or a device, for which a reader would wait."""
    return entry.is_file() or not Path(entry.path).exists()
