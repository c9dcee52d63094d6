"""Around every request: its id, one log line, its metrics, and an answer to what nobody caught."""

import logging
import re
import time
import uuid
from dataclasses import dataclass, field
from typing import Protocol

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from slipway.events import event
from slipway.http.problems import bug, respond

_SANE = re.compile(r"[\w.:-]{1,128}", re.ASCII)
_ALWAYS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "private, no-cache"}


class Counts(Protocol):
    """A server's metrics of its requests."""

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request; `route` is its template, or `none`."""


@dataclass
class _Seen:
    """What is known of a request while it is answered.

    Attributes:
      status: 0 until the answer has begun.
      ended_at: When the answer was sent; of an event stream, when it began.
    """

    request_id: str
    began_at: float = field(default_factory=time.perf_counter)
    status: int = 0
    ended_at: float | None = None

    def begin(self, message: Message) -> None:
        self.status = message["status"]
        headers = MutableHeaders(scope=message)
        headers["X-Request-Id"] = self.request_id
        for name, value in _ALWAYS.items():
            headers.setdefault(name, value)
        if headers.get("content-type", "").startswith("text/event-stream"):
            self.ended_at = time.perf_counter()

    @property
    def seconds(self) -> float:
        return (self.ended_at or time.perf_counter()) - self.began_at


class RequestLog:
    """The outermost middleware."""

    def __init__(self, app: ASGIApp, metrics: Counts) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        seen = _Seen(_request_id(scope))
        scope.setdefault("state", {})["request_id"] = seen.request_id

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen.begin(message)
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except Exception as error:  # the boundary: whatever it is, the client gets an answer and the log a traceback
            logging.getLogger("slipway").exception("%s: %s", type(error).__name__, error)
            if seen.status:
                raise
            await respond(Request(scope), bug())(scope, receive, noting)
        finally:
            self._note(scope, seen)

    def _note(self, scope: Scope, seen: _Seen) -> None:
        route, user = getattr(scope.get("route"), "path", "none"), scope["state"].get("user")
        self._metrics.count(scope["method"], route, seen.status, seen.seconds)
        is_probe = route in ("/healthz", "/readyz")
        event(
            "request",
            logging.DEBUG if is_probe else logging.INFO,
            method=scope["method"],
            path=scope["path"],
            status=seen.status,
            duration_sec=round(seen.seconds, 4),
            user=user.name if user else None,
            request_id=seen.request_id,
        )


def _request_id(scope: Scope) -> str:
    """Take the client's, where it can be told in a log line."""
    given = Headers(scope=scope).get("x-request-id", "")
    return given if _SANE.fullmatch(given) else uuid.uuid4().hex
