"""What the store is asked for, how long it takes, and what it refuses: counted once, around whichever store it is."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Histogram

from slipway.errors import MissingKey, SlipwayError
from slipway.metrics.registry import STAGE, Known
from slipway.store.interface import Content, Listed, ObjectStore, Stat

OPERATIONS = (
    "read",
    "write",
    "create",
    "size",
    "stat",
    "stream",
    "presign",
    "list",
    "scan",
    "delete",
    "download",
    "upload",
)
ERRORS = ("unreachable", "denied", "missing-bucket", "full", "damaged", "other")
BUCKETS = (0.05, 0.5, 5.0)

_OPERATION, _ERROR = "|".join(OPERATIONS), "|".join(ERRORS)
SECONDS = Known(
    "slipway_store_operation_duration_seconds",
    "histogram",
    "Duration of an operation on the store, including its retries; for a stream, until it is open.",
    {"operation": _OPERATION},
    "sum",
)
FAILED = Known(
    "slipway_store_errors",
    "counter",
    "Tries that the store refused or did not answer, even if a later try succeeded.",
    {"operation": _OPERATION, "error": _ERROR},
    "sum",
)
_seconds = Histogram(SECONDS.name, SECONDS.help, [*SECONDS.labels], buckets=BUCKETS, registry=STAGE)
_failed = Counter(FAILED.name, FAILED.help, [*FAILED.labels], registry=STAGE)

_operation: ContextVar[str] = ContextVar("operation", default="read")


def register(registry: CollectorRegistry) -> None:
    """Let a registry tell them, as that of a stage does."""
    registry.register(_seconds)
    registry.register(_failed)


def failed(error: SlipwayError) -> None:
    """Count a try that failed; a key that is missing is an answer."""
    if not isinstance(error, MissingKey):
        _failed.labels(_operation.get(), getattr(error, "word", "other")).inc()


class Counted:
    """An `ObjectStore` that counts what is asked of another."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self.url = store.url

    def read(self, key: str) -> bytes:
        with _counted("read"):
            return self._store.read(key)

    def write(self, key: str, content: bytes) -> None:
        with _counted("write"):
            self._store.write(key, content)

    def create(self, key: str, content: bytes) -> bool:
        with _counted("create"):
            return self._store.create(key, content)

    def size(self, key: str) -> int | None:
        with _counted("size"):
            return self._store.size(key)

    def stat(self, key: str) -> Stat | None:
        with _counted("stat"):
            return self._store.stat(key)

    def stream(self, key: str, start: int = 0, end: int | None = None) -> Content:
        with _counted("stream"):
            return self._store.stream(key, start, end)

    def presign(self, key: str, method: Literal["GET", "PUT"], seconds: int) -> str | None:
        with _counted("presign"):
            return self._store.presign(key, method, seconds)

    def list(self, prefix: str = "") -> Iterator[str]:
        with _counted("list"):  # the whole listing: what is done between two keys is not the store's time
            found = [*self._store.list(prefix)]
        yield from found

    def scan(self, prefix: str = "") -> Iterator[Listed]:
        with _counted("scan"):
            found = [*self._store.scan(prefix)]
        yield from found

    def delete(self, key: str) -> None:
        with _counted("delete"):
            self._store.delete(key)

    def download(self, key: str, path: Path) -> None:
        with _counted("download"):
            self._store.download(key, path)

    def upload(self, path: Path, key: str) -> None:
        with _counted("upload"):
            self._store.upload(path, key)


@contextmanager
def _counted(operation: str) -> Iterator[None]:
    token, started = _operation.set(operation), time.perf_counter()
    try:
        yield
    except SlipwayError as error:
        failed(error)
        raise
    finally:
        _seconds.labels(operation).observe(time.perf_counter() - started)
        _operation.reset(token)
