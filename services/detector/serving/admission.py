"""Admission of requests: bounds those that run and those that wait."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from slipway.http.problems import Problem

T = TypeVar("T")


class Admission:
    """Bounds running and waiting requests, and rejects the rest.

    Args:
      running: Requests that run at a time, each in its thread.
      waiting: Requests that wait for a thread.
    """

    def __init__(self, running: int, waiting: int) -> None:
        self._limit, self._admitted_requests = running + waiting, 0
        self._threads = ThreadPoolExecutor(running, thread_name_prefix="predict")

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Count one request until the end of the block. Raises `Problem` 503."""
        if self._admitted_requests >= self._limit:
            detail = f"{self._limit} requests are worked on or wait, as many as may; try again in 1 s"
            raise Problem(503, detail, "busy", headers={"Retry-After": "1"})
        self._admitted_requests += 1
        try:
            yield
        finally:
            self._admitted_requests -= 1

    async def run(self, call: Callable[[], T]) -> T:
        """Wait for a thread, call in it, and return the result."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)
