"""A transfer, shown as a stage is: how much, how fast, how much longer."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from slipway.errors import EXIT_DONE

from services.cli.local.process import Show

_EVERY_SEC = 0.2
_SMALL_BYTES = 10**7  # of which whole megabytes would say little

Heard = Callable[[int], None]  # how many bytes of it are there, or gone, by now


@contextmanager
def timed(show: Show, stage: str) -> Iterator[None]:
    """Show when a stage of ours begins and, if it ends well, how long it took."""
    started = time.monotonic()
    show({"event": "stage_begun", "stage": stage})
    yield
    seconds = round(time.monotonic() - started, 1)
    show({"event": "stage_over", "stage": stage, "code": EXIT_DONE, "duration_sec": seconds})


@dataclass
class Meter:
    """Shows progress, a few times a second.

    Attributes:
      total: Bytes; 0 while that is not known.
    """

    show: Show
    stage: str
    total: int = 0
    said_at: float = 0.0

    def heard(self, done: int) -> None:
        now = time.monotonic()
        if now - self.said_at >= _EVERY_SEC or done == self.total:
            self.said_at = now
            unit, factor = ("kB", 10**3) if 0 < self.total < _SMALL_BYTES else ("MB", 10**6)
            amount = {"done": done // factor, "total": self.total // factor, "unit": unit}
            self.show({"event": "progress", "stage": self.stage, **amount})


def after(start: int, heard: Heard) -> Heard:
    """Hear of one piece of a whole, which begins at `start`."""
    return lambda done: heard(start + done)
