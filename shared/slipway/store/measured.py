"""A store that measures the operations of another: their duration and their errors."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Histogram

from slipway.errors import MissingKey, SlipwayError
from slipway.metrics.registry import STAGE, MetricSpec
from slipway.store.interface import Content, Listed, ObjectStore, Stat

OPERATIONS = (
    "read",
    "write",
    "create",
    "stat",
    "stream",
    "presign",
    "scan",
    "delete",
    "download",
    "upload",
)
ERRORS = ("unreachable", "denied", "missing-bucket", "full", "damaged", "other")
BUCKETS = (0.05, 0.5, 5.0)

_EARLIER_OPERATIONS = ("size", "list")  # accepted from pods of version 0.1.0
_OPERATION, _ERROR = "|".join((*OPERATIONS, *_EARLIER_OPERATIONS)), "|".join(ERRORS)
DURATION = MetricSpec(
    "slipway_store_operation_duration_seconds",
    "histogram",
    "Duration of an operation on the store, including its retries; for a stream, until it is open.",
    {"operation": _OPERATION},
    "sum",
)
ERROR_COUNT = MetricSpec(
    "slipway_store_errors",
    "counter",
    "Tries that the store refused or did not answer, even if a later try succeeded.",
    {"operation": _OPERATION, "error": _ERROR},
    "sum",
)
_durations = Histogram(DURATION.name, DURATION.help, [*DURATION.labels], buckets=BUCKETS, registry=STAGE)
_errors = Counter(ERROR_COUNT.name, ERROR_COUNT.help, [*ERROR_COUNT.labels], registry=STAGE)

_operation: ContextVar[str] = ContextVar("operation", default="read")


def register(registry: CollectorRegistry) -> None:
    """Add the metrics of the store to a process's registry."""
    registry.register(_durations)
    registry.register(_errors)


def count_error(error: SlipwayError) -> None:
    """Count a failed try. A missing key is an answer and is not counted."""
    if not isinstance(error, MissingKey):
        _errors.labels(_operation.get(), getattr(error, "word", "other")).inc()


class MeasuredStore:
    """An `ObjectStore` that measures another."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self.url = store.url

    def read(self, key: str) -> bytes:
        with _measured("read"):
            return self._store.read(key)

    def write(self, key: str, content: bytes) -> None:
        with _measured("write"):
            self._store.write(key, content)

    def create(self, key: str, content: bytes) -> bool:
        with _measured("create"):
            return self._store.create(key, content)

    def stat(self, key: str) -> Stat | None:
        with _measured("stat"):
            return self._store.stat(key)

    def stream(self, key: str, start: int = 0, end: int | None = None) -> Content:
        with _measured("stream"):
            return self._store.stream(key, start, end)

    def presign(self, key: str, method: Literal["GET", "PUT"], seconds: int) -> str | None:
        with _measured("presign"):
            return self._store.presign(key, method, seconds)

    def scan(self, prefix: str = "") -> Iterator[Listed]:
        with _measured("scan"):  # the whole listing: the caller's work between two keys is not the store's time
            entries = [*self._store.scan(prefix)]
        yield from entries

    def delete(self, key: str) -> None:
        with _measured("delete"):
            self._store.delete(key)

    def download(self, key: str, path: Path) -> None:
        with _measured("download"):
            self._store.download(key, path)

    def upload(self, path: Path, key: str) -> None:
        with _measured("upload"):
            self._store.upload(path, key)


@contextmanager
def _measured(operation: str) -> Iterator[None]:
    token, start = _operation.set(operation), time.perf_counter()
    try:
        yield
    except SlipwayError as error:
        count_error(error)
        raise
    finally:
        _durations.labels(operation).observe(time.perf_counter() - start)
        _operation.reset(token)
