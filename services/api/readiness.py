"""Whether the store and the cluster answer; asked by anybody, so looked up at most once in a while."""

import threading
import time
from collections.abc import Callable

from slipway.errors import SlipwayError

from services.api.desk import Desk
from services.api.problems import Problem

_EVERY_SEC = 2.0
_ABSENT = "is-anybody-there"  # a name like any other: that it is not there is an answer too


class Readiness:
    """What the last look found."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._looking = threading.Lock()
        self._looked_at = -_EVERY_SEC
        self._wrong: str | None = "nobody has looked yet"

    def check(self, desk: Desk) -> None:
        """Look, or remember the last look. Raises `Problem` 503."""
        if self._now() - self._looked_at >= _EVERY_SEC and self._looking.acquire(blocking=False):
            try:  # the others do not wait: a store that hangs would hold all of their threads
                self._wrong = _look(desk)
                self._looked_at = self._now()
            finally:
                self._looking.release()
        if self._wrong:
            raise Problem(503, self._wrong, "unavailable", headers={"Retry-After": "2"})


def _look(desk: Desk) -> str | None:
    """Say which does not answer; why is the log's, not everybody's."""
    try:
        desk.store.size(_ABSENT)
    except SlipwayError:
        return "the store does not answer"
    try:
        desk.cluster.get(_ABSENT)
    except SlipwayError:
        return "the cluster does not answer"
    return None
