"""The operating system's refusals, met while using a file or a folder, in our words."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from slipway.errors import MissingKey, StoreFull, StoreRefused, StoreUnavailable

_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}
_ENDLESS = {errno.ELOOP, errno.ENAMETOOLONG}
_ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR}
_SHOWN = 200  # letters of a path that links make endless


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Turn the operating system's refusals, met while using the file or folder `where`, into ours."""
    try:
        yield
    except StoreRefused:  # it is an OSError too, and says all already
        raise
    except OSError as error:
        if error.errno in _ABSENT:
            raise MissingKey(f"{where}: no such key") from error
        if error.errno in _REFUSED:
            raise StoreRefused(
                f"{where}: {error.strerror}; make the folder readable and writable, or choose another"
            ) from error
        if error.errno in _ENDLESS:
            raise StoreRefused(
                f"{where[:_SHOWN]}: {error.strerror}; shorten the path, "
                "or remove the link that leads back to a folder above"
            ) from error
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreFull(f"{where}: {error.strerror}; free some room and run the same command again") from error
        raise StoreUnavailable(f"{where}: {error.strerror or error}; try again") from error
