"""Whose turn it is: names wait here for a thread that looks at them."""

import heapq
import threading
import time


class Turns:
    """Names, each waiting once however often it is asked for, and held by one thread at a time."""

    def __init__(self) -> None:
        self._due: dict[str, float] = {}
        self._order: list[tuple[float, str]] = []  # what is not, or no longer, in `_due` is passed over
        self._held: set[str] = set()
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._due)

    def ask(self, name: str, delay_sec: float = 0.0) -> None:
        """Let the name's turn come after the delay, or when it comes anyway if that is sooner."""
        due = time.monotonic() + delay_sec
        with self._changed:
            if due < self._due.get(name, float("inf")):
                self._due[name] = due
                self._put(name)

    def take(self) -> str:
        """Wait for the next name and hold it until it is given back."""
        with self._changed:
            while True:
                while self._order and self._due.get(self._order[0][1]) != self._order[0][0]:
                    heapq.heappop(self._order)
                wait = self._order[0][0] - time.monotonic() if self._order else None
                if wait is not None and wait <= 0:
                    break
                self._changed.wait(wait)
            _, name = heapq.heappop(self._order)
            del self._due[name]
            self._held.add(name)
            return name

    def give_back(self, name: str) -> None:
        with self._changed:
            self._held.remove(name)
            if name in self._due:
                self._put(name)

    def _put(self, name: str) -> None:
        if name not in self._held:
            heapq.heappush(self._order, (self._due[name], name))
            self._changed.notify()
