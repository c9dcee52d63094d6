"""A source folder: a user's images and annotations, before they are a dataset."""

import hashlib
from concurrent.futures import ThreadPoolExecutor

from slipway.errors import InputError, MissingKey
from slipway.store.interface import ObjectStore

_READERS = 8
_SYSTEM_FILES = {"__MACOSX", "Thumbs.db", "desktop.ini"}


def source_files(source: ObjectStore) -> list[str]:
    """List the source's keys, sorted, without hidden files and those that operating systems add."""
    keys = (file.key for file in source.scan())
    return [key for key in keys if not any(is_system_file(name) for name in key.split("/"))]


def read_file(source: ObjectStore, key: str) -> bytes:
    """Read one of the source's files.

    Raises:
      InputError: It was listed, but does not exist: a link that leads nowhere, or a file that was just removed.
    """
    try:
        return source.read(key)
    except MissingKey as error:
        raise InputError(f"{source.url}/{key}: cannot be read; remove it, or mend what it links to") from error


def source_digest(source: ObjectStore) -> str:
    """Return the sha256 of the source's names and bytes: the same files give the same digest wherever they are."""

    def file_digest(key: str) -> bytes:
        return hashlib.sha256(read_file(source, key)).digest()

    files = source_files(source)
    total = hashlib.sha256()
    with ThreadPoolExecutor(_READERS) as pool:
        for key, digest in zip(files, pool.map(file_digest, files), strict=True):
            total.update(key.encode(errors="surrogateescape") + b"\0" + digest)
    return total.hexdigest()


def is_system_file(name: str) -> bool:
    """Check whether a file or folder of this name is hidden, or was added by an operating system."""
    return name.startswith(".") or name in _SYSTEM_FILES
