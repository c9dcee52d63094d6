"""Server-sent events: each open stream polls for new events, in threads that only streams use."""

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
_THREADS = 8  # beside those of requests, so that streams never use up the latter
_HEARTBEAT_SEC = 15.0  # shorter than the idle timeout of proxies
_HEARTBEAT = ": still here\n\n"
_LINE_END = re.compile(r"\r\n|\n|\r")
_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}  # the latter keeps nginx from buffering events

Poll = Callable[[], tuple[list[str], bool]]  # returns the new events, and whether they were the last


@dataclass(frozen=True)
class ServerEvent:
    """One event.

    Attributes:
      id: The client sends it as Last-Event-ID when it reconnects.
    """

    data: str
    name: str
    id: str | None = None

    def __str__(self) -> str:
        head = f"id: {self.id}\n" if self.id is not None else ""
        data = "".join(f"data: {line}\n" for line in _LINE_END.split(self.data))
        return f"{head}event: {self.name}\n{data}\n"


class Streams:
    """All open streams, and the limit on their number.

    Attributes:
      is_closing: The process ends, so every stream ends too, and its client reconnects to another replica.
    """

    def __init__(self, max_streams: int, gauge: Gauge, pause_sec: float = 1.0) -> None:
        self._max_streams, self._gauge, self._pause_sec = max_streams, gauge, pause_sec
        self._open_streams = 0
        self._threads = anyio.CapacityLimiter(_THREADS)
        self.is_closing = False

    def respond(self, poll: Poll, media_type: str = MEDIA_TYPE) -> StreamingResponse:
        """Answer with the events of each poll, up to the last. Raises `Problem` 503 when too many streams are open."""
        if self._open_streams >= self._max_streams or self.is_closing:
            detail = f"{self._open_streams} streams are open, no more are served at a time; try again"
            raise Problem(503, detail, "too-many-streams", headers={"Retry-After": "10"})
        heartbeat = _HEARTBEAT if media_type == MEDIA_TYPE else ""
        return StreamingResponse(self._follow(poll, heartbeat), headers=_HEADERS, media_type=media_type)

    async def _follow(self, poll: Poll, heartbeat: str) -> AsyncIterator[str]:
        self._count(1)
        try:
            sent_at = time.monotonic()
            while not self.is_closing:
                texts, is_last = await self._poll(poll)
                if not texts and time.monotonic() - sent_at >= _HEARTBEAT_SEC:
                    texts = [heartbeat]
                for text in texts:
                    sent_at = time.monotonic()
                    yield text
                if is_last:
                    return
                await asyncio.sleep(self._pause_sec)
        finally:
            self._count(-1)

    async def _poll(self, poll: Poll) -> tuple[list[str], bool]:
        try:
            return await anyio.to_thread.run_sync(poll, limiter=self._threads)
        except TransientError:  # the store or the cluster does not answer: keep the stream open, and poll again
            return [], False
        except Problem as problem:  # the run was deleted, and the store has nothing of it
            return [str(ServerEvent(str(problem.detail), "end"))], True

    def _count(self, change: int) -> None:
        self._open_streams += change
        self._gauge.set(self._open_streams)


def streams_of(request: Request) -> Streams:
    streams: Streams = request.app.state.streams
    return streams
