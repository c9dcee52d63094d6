"""A work queue that merges duplicates and gives each name to one worker."""

import heapq
import threading
import time


class WorkQueue:
    """Names of runs to reconcile.

    A name that is put several times waits once, and no two workers have it at the same time.
    """

    def __init__(self) -> None:
        self._due: dict[str, float] = {}
        self._order: list[tuple[float, str]] = []  # an entry that differs from `_due` is outdated, and is skipped
        self._in_work: set[str] = set()
        self._change = threading.Condition()

    def __len__(self) -> int:
        return len(self._due)

    def put(self, name: str, delay_sec: float = 0.0) -> None:
        """Add a name that becomes due after the delay; a name that is due earlier is left as it is."""
        due = time.monotonic() + delay_sec
        with self._change:
            if due < self._due.get(name, float("inf")):
                self._due[name] = due
                self._push(name)

    def get(self) -> str:
        """Wait until a name is due and return it; no other worker gets it until `done`."""
        with self._change:
            while True:
                while self._order and self._due.get(self._order[0][1]) != self._order[0][0]:
                    heapq.heappop(self._order)
                wait_sec = self._order[0][0] - time.monotonic() if self._order else None
                if wait_sec is not None and wait_sec <= 0:
                    break
                self._change.wait(wait_sec)
            _, name = heapq.heappop(self._order)
            del self._due[name]
            self._in_work.add(name)
            return name

    def done(self, name: str) -> None:
        """Release a name: if it was put meanwhile, another worker may get it now."""
        with self._change:
            self._in_work.remove(name)
            if name in self._due:
                self._push(name)

    def _push(self, name: str) -> None:
        if name not in self._in_work:
            heapq.heappush(self._order, (self._due[name], name))
            self._change.notify()
