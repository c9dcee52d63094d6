"""The outermost middleware: request id, one log line, metrics, and the answer to an uncaught error."""

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

_LOGGABLE = re.compile(r"[\w.:-]{1,128}", re.ASCII)
_HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "private, no-cache"}


class RequestMetrics(Protocol):
    """Counts the requests of a server."""

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request; `route` is its template, or `none`."""


@dataclass
class _RequestState:
    """A request that is being answered.

    Attributes:
      status: 0 until the answer has begun.
      ended_at: When the answer was sent; for an event stream, when it began.
    """

    request_id: str
    began_at: float = field(default_factory=time.perf_counter)
    status: int = 0
    ended_at: float | None = None

    def begin(self, message: Message) -> None:
        self.status = message["status"]
        headers = MutableHeaders(scope=message)
        headers["X-Request-Id"] = self.request_id
        for name, value in _HEADERS.items():
            headers.setdefault(name, value)
        if headers.get("content-type", "").startswith("text/event-stream"):
            self.ended_at = time.perf_counter()

    @property
    def seconds(self) -> float:
        return (self.ended_at or time.perf_counter()) - self.began_at


class RequestLog:
    """The middleware; nothing is outside of it."""

    def __init__(self, app: ASGIApp, metrics: RequestMetrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = _RequestState(_request_id(scope))
        scope.setdefault("state", {})["request_id"] = state.request_id

        async def send_noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                state.begin(message)
            await send(message)

        try:
            await self._app(scope, receive, send_noting)
        except Exception as error:  # the boundary: the client gets an answer and the log a traceback
            logging.getLogger("slipway").exception("%s: %s", type(error).__name__, error)
            if state.status:
                raise
            await respond(Request(scope), bug())(scope, receive, send_noting)
        finally:
            self._log(scope, state)

    def _log(self, scope: Scope, state: _RequestState) -> None:
        route, user = getattr(scope.get("route"), "path", "none"), scope["state"].get("user")
        self._metrics.count(scope["method"], route, state.status, state.seconds)
        is_probe = route in ("/healthz", "/readyz")
        event(
            "request",
            logging.DEBUG if is_probe else logging.INFO,
            method=scope["method"],
            path=scope["path"],
            status=state.status,
            duration_sec=round(state.seconds, 4),
            user=user.name if user else None,
            request_id=state.request_id,
        )


def _request_id(scope: Scope) -> str:
    """Return the client's id, where it fits in a log line, or a new one."""
    request_id = Headers(scope=scope).get("x-request-id", "")
    return request_id if _LOGGABLE.fullmatch(request_id) else uuid.uuid4().hex
