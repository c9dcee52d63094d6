"""Progress events of a loop over images."""

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from slipway.events import event
from slipway.metrics.stage_gauges import mark_progress

_EVERY_SEC = 0.5
T = TypeVar("T")


def tracked(items: Iterable[T], total: int) -> Iterator[T]:
    """Yield the items; log `progress` at most twice a second, and when the last is done."""
    started = said = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if done == total or now - said >= _EVERY_SEC:
            said = now
            event("progress", done=done, total=total, unit="images", rate=round(done / max(now - started, 1e-9), 1))
            mark_progress()
