"""Server-sent events: what is new is looked for now and then, in threads of their own."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import anyio
from fastapi import Request
from fastapi.responses import StreamingResponse
from prometheus_client import Gauge

from slipway.errors import TransientError
from slipway.http.problems import Problem

MEDIA_TYPE = "text/event-stream"
_THREADS = 8  # beside the requests' own, which streams may never use up
_BEAT_SEC = 15.0  # less than proxies wait for a byte
_BEAT = ": still here\n\n"
_LINE_END = re.compile(r"\r\n|\n|\r")
_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}  # the latter for nginx, which would hold it back

Look = Callable[[], tuple[list[str], bool]]  # what is new, and whether that was the last


@dataclass(frozen=True)
class ServerEvent:
    """One event.

    Attributes:
      id: What the client says as Last-Event-ID when it comes again.
    """

    data: str
    name: str
    id: str | None = None

    def __str__(self) -> str:
        head = f"id: {self.id}\n" if self.id is not None else ""
        data = "".join(f"data: {line}\n" for line in _LINE_END.split(self.data))
        return f"{head}event: {self.name}\n{data}\n"


class Streams:
    """All streams that are open.

    Attributes:
      is_closing: The process ends: each stream does too, and its client comes again to another.
    """

    def __init__(self, most: int, gauge: Gauge, pause_sec: float = 1.0) -> None:
        self._most, self._gauge, self._pause_sec = most, gauge, pause_sec
        self._open = 0
        self._threads = anyio.CapacityLimiter(_THREADS)
        self.is_closing = False

    def respond(self, look: Look, media_type: str = MEDIA_TYPE) -> StreamingResponse:
        """Answer with what looks find, until the last. Raises `Problem` 503 where too many are open."""
        if self._open >= self._most or self.is_closing:
            said = f"{self._open} streams are open, no more are served at a time; try again"
            raise Problem(503, said, "too-many-streams", headers={"Retry-After": "10"})
        beat = _BEAT if media_type == MEDIA_TYPE else ""
        return StreamingResponse(self._follow(look, beat), headers=_HEADERS, media_type=media_type)

    async def _follow(self, look: Look, beat: str) -> AsyncIterator[str]:
        self._count(1)
        try:
            told_at = time.monotonic()
            while not self.is_closing:
                texts, is_last = await self._look(look)
                if not texts and time.monotonic() - told_at >= _BEAT_SEC:
                    texts = [beat]
                for text in texts:
                    told_at = time.monotonic()
                    yield text
                if is_last:
                    return
                await asyncio.sleep(self._pause_sec)
        finally:
            self._count(-1)

    async def _look(self, look: Look) -> tuple[list[str], bool]:
        try:
            return await anyio.to_thread.run_sync(look, limiter=self._threads)
        except TransientError:  # the store or the cluster is away: the client waits, and need not come again
            return [], False
        except Problem as problem:  # the run is gone, and so is what the store had of it
            return [str(ServerEvent(str(problem.detail), "end"))], True

    def _count(self, change: int) -> None:
        self._open += change
        self._gauge.set(self._open)


def streams_of(request: Request) -> Streams:
    streams: Streams = request.app.state.streams
    return streams
