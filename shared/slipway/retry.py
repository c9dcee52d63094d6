"""Retries with growing pauses, for as long as a caller's patience lasts."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from slipway.errors import TransientError

_FIRST_PAUSE_SEC, _LONGEST_PAUSE_SEC = 0.1, 5.0

T = TypeVar("T")


@dataclass
class Patience:
    """A time limit for retries.

    It runs from the first failure on, or from `start`. Whatever makes progress renews it.

    Attributes:
      sec: The limit.
      notice: Called with the first failure.
    """

    sec: float
    notice: Callable[[TransientError], None] = lambda _: None
    _end: float | None = field(default=None, init=False)
    _pause: float = field(default_factory=lambda: _FIRST_PAUSE_SEC, init=False)
    _has_failed: bool = field(default=False, init=False)

    def start(self) -> "Patience":
        """Start the limit now, so that it includes a first call that hangs."""
        self._end = time.monotonic() + self.sec
        return self

    def renew(self) -> None:
        """Forget the failures so far."""
        self._end, self._pause, self._has_failed = None, _FIRST_PAUSE_SEC, False

    def wait(self, failure: TransientError) -> None:
        """Wait before the next try.

        Args:
          failure: Its `after_sec`, where it has one, is the shortest pause.

        Raises:
          TransientError: The failure, when the next try would begin after the limit.
        """
        now = time.monotonic()
        self._end = now + self.sec if self._end is None else self._end
        # Clients that failed together do not come back together.
        pause = max(failure.after_sec, self._pause * random.uniform(0.5, 1))  # noqa: S311
        if now + pause > self._end:
            raise failure
        if not self._has_failed:
            self.notice(failure)
        self._has_failed, self._pause = True, min(self._pause * 2, _LONGEST_PAUSE_SEC)
        time.sleep(pause)


def with_retries(attempt: Callable[[], T], patience: Patience) -> T:
    """Call until there is a result or the limit is over. Raises the last attempt's error."""
    while True:
        try:
            return attempt()
        except TransientError as failure:
            patience.wait(failure)
