"""Errors of the operating system as errors of the store."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from slipway.errors import MissingKey, StoreFull, StoreRefused, StoreUnavailable

_PERMISSION = {errno.EACCES, errno.EPERM, errno.EROFS}
_ENDLESS = {errno.ELOOP, errno.ENAMETOOLONG}
_ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR}
_PATH_LETTERS = 200  # shown of a path that links make endless


@contextmanager
def as_store_errors(path: str) -> Iterator[None]:
    """Raise an `OSError` of the block as a `SlipwayError` that names the file or folder `path`."""
    try:
        yield
    except StoreRefused:  # it is an OSError too, and its message is complete
        raise
    except OSError as error:
        if error.errno in _ABSENT:
            raise MissingKey(f"{path}: no such key") from error
        if error.errno in _PERMISSION:
            raise StoreRefused(
                f"{path}: {error.strerror}; make the folder readable and writable, or choose another"
            ) from error
        if error.errno in _ENDLESS:
            raise StoreRefused(
                f"{path[:_PATH_LETTERS]}: {error.strerror}; shorten the path, "
                "or remove the link that leads back to a folder above"
            ) from error
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreFull(f"{path}: {error.strerror}; free some room and run the same command again") from error
        raise StoreUnavailable(f"{path}: {error.strerror or error}; try again") from error
