"""The lock by which only one command at a time works on a run, and the scratch folder that belongs to it."""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from slipway.errors import TransientError
from slipway.store.file_errors import as_store_errors
from slipway.store.folder import FolderStore
from slipway.store.interface import TEMPORARY

_ORPHANS_SEC = 30.0  # the processes of a killed runner stop by themselves in half that time


@dataclass(frozen=True)
class LockedRun:
    """A run that this command has locked.

    Attributes:
      scratch: The folder of its processes: emptied at the start, in case a killed runner left files, and removed at
        the end.
      descriptor: Descriptor of the lock file; the stages inherit it, so that the lock lasts until all have ended.
    """

    scratch: Path
    descriptor: int


@contextmanager
def lock_run(store: FolderStore, run: str) -> Iterator[LockedRun]:
    """Lock a run for this command.

    Raises:
      TransientError: Another command holds it; the message names its pid.
    """
    scratch = store.root / TEMPORARY / run
    with as_store_errors(str(scratch)):
        scratch.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(f"{scratch}.lock", os.O_RDWR | os.O_CREAT, 0o666)
    try:
        with as_store_errors(str(scratch)):
            _acquire(descriptor, run)
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir()
        try:
            yield LockedRun(scratch, descriptor)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, run: str) -> None:
    deadline = time.monotonic() + _ORPHANS_SEC
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(descriptor, 20, 0).decode().strip()
            if _is_alive(owner) or time.monotonic() > deadline:
                raise TransientError(
                    f"run {run!r} is already running as pid {owner or 'unknown'}; wait for it, or stop it first"
                ) from None
            time.sleep(0.1)
        else:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
            return


def _is_alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True
