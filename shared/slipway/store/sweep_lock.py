"""Who may change what datasets share: any number of ingests, or the one that removes, alone.

An ingest takes up blobs and datasets that are there already, and nothing refers to them before it has ended: removed
in between, they would be missing for ever. Stores have no locks, so each side first writes a key that says that it is
there, and then looks for the other's. Whoever looks second sees the first, so never do both go on: an ingest waits,
and a sweep ends. A sweep looks again before each batch, so an ingest waits for one batch at most.

What a killed process leaves counts until it is too old. The clocks of store and pods may differ by minutes.
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
_LOCKS = keys.sweeping().rpartition("/")[0]

Sleep = Callable[[float], None]


@contextmanager
def ingesting(store: ObjectStore, run: str, sleep: Sleep = time.sleep) -> Iterator[None]:
    """Keep all that is there, for as long as this lasts; first wait for a sweep that is under way to end."""
    key = keys.ingesting(f"{run}-{uuid.uuid4().hex[:8]}")
    store.write(key, b"{}\n")
    try:
        if is_swept(store):
            event("waits_for_sweep")
        while is_swept(store):
            sleep(_LOOK_SEC)
        yield
    finally:
        with suppress(TransientError):  # it is too old some day
            store.delete(key)


@contextmanager
def sweeping(store: ObjectStore) -> Iterator[Callable[[], bool]]:
    """Announce a sweep; what it gives says, before each batch, whether the sweep may go on."""

    def may_go_on() -> bool:
        store.write(keys.sweeping(), b"{}\n")
        return not ingests(store)

    try:
        yield may_go_on
    finally:
        store.delete(keys.sweeping())


def ingests(store: ObjectStore) -> list[str]:
    """Return the keys of the ingests that are under way."""
    return _fresh(store, keys.ingesting("").rstrip("/"), INGEST_SEC)


def is_swept(store: ObjectStore) -> bool:
    return keys.sweeping() in _fresh(store, _LOCKS, SWEEP_SEC)


def _fresh(store: ObjectStore, prefix: str, seconds: float) -> list[str]:
    since = time.time() - seconds
    return [listed.key for listed in store.scan(prefix) if listed.modified >= since]
