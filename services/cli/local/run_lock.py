"""One run at a time: the lock on its folder, and the scratch folder that goes with it."""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from slipway.errors import TransientError
from slipway.store.file_errors import translated
from slipway.store.folder import FolderStore
from slipway.store.interface import TEMPORARY

_ORPHANS_SEC = 30.0  # what a killed runner left stops by itself in half of that


@dataclass(frozen=True)
class Place:
    """Where a run's processes work.

    Attributes:
      scratch: Emptied at the start, so that what a killed runner left goes, and removed at the end.
      lock: Descriptor of the locked file. The stages inherit it: the lock lasts until the last of them is gone.
    """

    scratch: Path
    lock: int


@contextmanager
def hold(store: FolderStore, run: str) -> Iterator[Place]:
    """Take the run for this process.

    Raises:
      TransientError: Another process has it; the message says which.
    """
    scratch = store.root / TEMPORARY / run
    with translated(str(scratch)):
        scratch.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(f"{scratch}.lock", os.O_RDWR | os.O_CREAT, 0o666)
    try:
        with translated(str(scratch)):
            _acquire(lock, run)
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir()
        try:
            yield Place(scratch, lock)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    finally:
        os.close(lock)


def _acquire(lock: int, run: str) -> None:
    patience = time.monotonic() + _ORPHANS_SEC
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(lock, 20, 0).decode().strip()
            if _is_alive(owner) or time.monotonic() > patience:
                raise TransientError(
                    f"run {run!r} is already running as pid {owner or 'unknown'}; wait for it, or stop it first"
                ) from None
            time.sleep(0.1)
        else:
            os.ftruncate(lock, 0)
            os.pwrite(lock, str(os.getpid()).encode(), 0)
            return


def _is_alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True
