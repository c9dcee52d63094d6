"""A lock over blobs and datasets: shared by any number of ingests, or held by one sweep alone.

An ingest reuses blobs and datasets that exist already, and nothing refers to them before it has ended: if a sweep
removed them in between, they would be missing for ever. Stores have no locks, so each side first writes a key of its
own and then looks for the other's. The side that looks second sees the first, so the two never proceed together: an
ingest waits, and a sweep ends. A sweep looks again before each batch, so an ingest waits for one batch at most.

The key of a killed process counts until it is too old. The clocks of store and pods may differ by minutes.
"""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from slipway import keys
from slipway.errors import TransientError
from slipway.events import event
from slipway.store.interface import ObjectStore

INGEST_SEC = 7 * 86400.0  # a Job's deadline: no ingest takes longer
SWEEP_SEC = 1800.0  # a batch takes less, even where each of its keys has to wait for a slow store
_LOOK_SEC = 1.0
_LOCKS = keys.sweep_lock().rpartition("/")[0]

Sleep = Callable[[float], None]


@contextmanager
def ingest_lock(store: ObjectStore, run: str, sleep: Sleep = time.sleep) -> Iterator[None]:
    """Keep sweeps away for as long as the block lasts; wait first until a running sweep has ended."""
    key = keys.ingest_lock(f"{run}-{uuid.uuid4().hex[:8]}")
    store.write(key, b"{}\n")
    try:
        if is_sweep_running(store):
            event("waits_for_sweep")
        while is_sweep_running(store):
            sleep(_LOOK_SEC)
        yield
    finally:
        with suppress(TransientError):  # the key expires by itself
            store.delete(key)


@contextmanager
def sweep_lock(store: ObjectStore) -> Iterator[Callable[[], bool]]:
    """Announce a sweep.

    Yields:
      A function that returns, before each batch, whether the sweep may go on.
    """

    def may_go_on() -> bool:
        store.write(keys.sweep_lock(), b"{}\n")
        return not running_ingests(store)

    try:
        yield may_go_on
    finally:
        store.delete(keys.sweep_lock())


def running_ingests(store: ObjectStore) -> list[str]:
    """Return the keys of the running ingests."""
    return _fresh(store, keys.ingest_lock("").rstrip("/"), INGEST_SEC)


def is_sweep_running(store: ObjectStore) -> bool:
    return keys.sweep_lock() in _fresh(store, _LOCKS, SWEEP_SEC)


def _fresh(store: ObjectStore, prefix: str, seconds: float) -> list[str]:
    oldest = time.time() - seconds
    return [entry.key for entry in store.scan(prefix) if entry.modified_at >= oldest]
