"""Readiness of a server: whether the services that it needs answer, checked at most every two seconds."""

import threading
import time
from collections.abc import Callable

from slipway.errors import SlipwayError
from slipway.http.problems import Problem
from slipway.store.interface import ObjectStore

ABSENT = "is-anybody-there"  # the key of no object: that it is missing is an answer, too
_EVERY_SEC = 2.0


class Readiness:
    """The result of the last check.

    Args:
      look: Returns the fault, or None.
    """

    def __init__(self, look: Callable[[], str | None], now: Callable[[], float] = time.monotonic) -> None:
        self._look, self._now = look, now
        self._lock = threading.Lock()
        self._checked_at = -_EVERY_SEC
        self._fault: str | None = "no check has been made yet"

    def check(self) -> None:
        """Check, or use the last result. Raises `Problem` 503."""
        if self._now() - self._checked_at >= _EVERY_SEC and self._lock.acquire(blocking=False):
            try:  # other requests do not wait: a store that hangs would block all their threads
                self._fault = self._look()
                self._checked_at = self._now()
            finally:
                self._lock.release()
        if self._fault:
            raise Problem(503, self._fault, "unavailable", headers={"Retry-After": "2"})


def store_fault(store: ObjectStore) -> str | None:
    """Return that the store does not answer, or None; the reason is for the log only."""
    try:
        store.stat(ABSENT)
    except SlipwayError:
        return "the store does not answer"
    return None
