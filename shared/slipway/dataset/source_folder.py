"""A source folder: what a user points at, before it is a dataset."""

import hashlib
from concurrent.futures import ThreadPoolExecutor

from slipway.errors import InputError, MissingKey
from slipway.store.interface import ObjectStore

_READERS = 8
_LEFT_BEHIND = {"__MACOSX", "Thumbs.db", "desktop.ini"}


def source_files(source: ObjectStore) -> list[str]:
    """List the source's keys, sorted; hidden names and what other systems leave behind are passed over."""
    return [key for key in source.list() if not any(is_noise(name) for name in key.split("/"))]


def read_file(source: ObjectStore, key: str) -> bytes:
    """Read one of the source's files.

    Raises:
      InputError: It was listed, but is not there: a link that leads nowhere, or a file that was just removed.
    """
    try:
        return source.read(key)
    except MissingKey as error:
        raise InputError(f"{source.url}/{key}: cannot be read; remove it, or mend what it links to") from error


def source_digest(source: ObjectStore) -> str:
    """Return the sha256 of the source's names and bytes: the same files give the same digest wherever they are."""
    files = source_files(source)
    total = hashlib.sha256()
    with ThreadPoolExecutor(_READERS) as pool:
        for key, digest in zip(
            files, pool.map(lambda key: hashlib.sha256(read_file(source, key)).digest(), files), strict=True
        ):
            total.update(key.encode(errors="surrogateescape") + b"\0" + digest)
    return total.hexdigest()


def is_noise(name: str) -> bool:
    return name.startswith(".") or name in _LEFT_BEHIND
