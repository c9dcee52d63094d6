"""Whether what a server needs answers; asked by anybody, so looked up at most once in a while."""

import threading
import time
from collections.abc import Callable

from slipway.errors import SlipwayError
from slipway.http.problems import Problem
from slipway.store.interface import ObjectStore

ABSENT = "is-anybody-there"  # a name like any other: that it is not there is an answer too
_EVERY_SEC = 2.0


class Readiness:
    """What the last look found.

    Args:
      look: Returns what is wrong, or None.
    """

    def __init__(self, look: Callable[[], str | None], now: Callable[[], float] = time.monotonic) -> None:
        self._look, self._now = look, now
        self._looking = threading.Lock()
        self._looked_at = -_EVERY_SEC
        self._wrong: str | None = "nobody has looked yet"

    def check(self) -> None:
        """Look, or remember the last look. Raises `Problem` 503."""
        if self._now() - self._looked_at >= _EVERY_SEC and self._looking.acquire(blocking=False):
            try:  # the others do not wait: a store that hangs would hold all of their threads
                self._wrong = self._look()
                self._looked_at = self._now()
            finally:
                self._looking.release()
        if self._wrong:
            raise Problem(503, self._wrong, "unavailable", headers={"Retry-After": "2"})


def silent_store(store: ObjectStore) -> str | None:
    """Say that the store does not answer; why is the log's, not everybody's."""
    try:
        store.size(ABSENT)
    except SlipwayError:
        return "the store does not answer"
    return None
