"""How many requests are worked on, and how many wait."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from slipway.http.problems import Problem

T = TypeVar("T")


class Turns:
    """So many at once in threads, and so many that wait; whoever comes then is sent away."""

    def __init__(self, at_once: int, waiting: int) -> None:
        self._most, self._here = at_once + waiting, 0
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="predict")

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Take part from now on. Raises `Problem` 503."""
        if self._here >= self._most:
            said = f"{self._most} requests are worked on or wait, as many as may; try again in 1 s"
            raise Problem(503, said, "busy", headers={"Retry-After": "1"})
        self._here += 1
        try:
            yield
        finally:
            self._here -= 1

    async def work(self, call: Callable[[], T]) -> T:
        """Wait for a thread, and for what the call returns in it."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)
