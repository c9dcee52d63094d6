"""The progress of a transfer, shown like that of a stage: amount, speed, time left."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from slipway.errors import EXIT_DONE

from services.cli.screen.events import Show

_EVERY_SEC = 0.2
_SMALL_BYTES = 10**7  # whole megabytes would be too coarse for less

ReportBytes = Callable[[int], None]  # its argument: the bytes transferred so far


@dataclass
class StageTimer:
    """The stage that `timed_stage` shows; its exit code can be set until it ends."""

    code: int = EXIT_DONE


@contextmanager
def timed_stage(show: Show, stage: str) -> Iterator[StageTimer]:
    """Show the beginning of one of the command's own stages and, unless an error is raised, its end and duration."""
    timer, start = StageTimer(), time.monotonic()
    show({"event": "stage_begun", "stage": stage})
    yield timer
    seconds = round(time.monotonic() - start, 1)
    show({"event": "stage_over", "stage": stage, "code": timer.code, "duration_sec": seconds})


@dataclass
class TransferProgress:
    """Shows a transfer's progress, a few times a second.

    Attributes:
      total: Number of bytes; 0 while it is not known.
    """

    show: Show
    stage: str
    total: int = 0
    last_time: float = 0.0

    def update(self, done: int) -> None:
        now = time.monotonic()
        if now - self.last_time >= _EVERY_SEC or done == self.total:
            self.last_time = now
            unit, factor = ("kB", 10**3) if 0 < self.total < _SMALL_BYTES else ("MB", 10**6)
            amount = {"done": done // factor, "total": self.total // factor, "unit": unit}
            self.show({"event": "progress", "stage": self.stage, **amount})


def add_offset(offset: int, report: ReportBytes) -> ReportBytes:
    """Return a function that reports the bytes of one piece, which begins at `offset` of the whole."""
    return lambda done: report(offset + done)
