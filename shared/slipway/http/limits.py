"""How much one client may take: requests a second, and bytes a body."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Protocol

from fastapi import Request
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from slipway.http.problems import Problem, respond

_MOST_CLIENTS = 10_000  # remembered; who is forgotten begins with a full bucket


class Rate(Protocol):
    """How often one client may come: on average, and at once."""

    @property
    def requests_per_second(self) -> float: ...

    @property
    def burst(self) -> int: ...


@dataclass
class _Bucket:
    tokens: float
    filled_at: float


class Buckets:
    """One token bucket a client: `burst` at once, `rate` a second on average."""

    def __init__(self, rate: Rate, now: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._now = rate, now
        self._clients: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, client: str) -> float:
        """Take one; return 0, or after how many seconds there will be one."""
        now, rate, burst = self._now(), self._rate.requests_per_second, self._rate.burst
        bucket = self._clients.setdefault(client, _Bucket(burst, now))
        self._clients.move_to_end(client)
        if len(self._clients) > _MOST_CLIENTS:
            self._clients.popitem(last=False)
        bucket.tokens = min(burst, bucket.tokens + (now - bucket.filled_at) * rate)
        bucket.filled_at = now
        if bucket.tokens < 1:
            return (1 - bucket.tokens) / rate
        bucket.tokens -= 1
        return 0


class Gate:
    """Lets users through as often as they may come; who has no good token is counted by address.

    A good token is never held up by wrong ones from the same address, which may be a proxy's.
    """

    def __init__(self, rate: Rate, now: Callable[[], float] = time.monotonic) -> None:
        self._users, self._addresses = Buckets(rate, now), Buckets(rate, now)

    def admit(self, user: str) -> None:
        """Count a request. Raises `Problem` 429."""
        _check(self._users.take(user), f"{user} asks too often")

    def refused(self, address: str) -> None:
        """Count a request without a good token. Raises `Problem` 429."""
        _check(self._addresses.take(address), "too many requests without a good token")


def gate_of(request: Request) -> Gate:
    gate: Gate = request.app.state.gate
    return gate


def _check(wait_sec: float, what: str) -> None:
    if wait_sec:
        after = max(1, ceil(wait_sec))
        raise Problem(429, f"{what}; try again in {after} s", "too-often", headers={"Retry-After": str(after)})


class BodyLimit:
    """Refuses bodies that are too long: by their Content-Length at once, otherwise when they get there.

    Args:
      most: Returns the bytes that a method and a path take.
    """

    def __init__(self, app: ASGIApp, most: Callable[[str, str], int]) -> None:
        self._app, self._most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = self._most(scope["method"], scope["path"])
        told = Headers(scope=scope).get("content-length", "")
        if told.isdigit() and int(told) > most:
            await respond(Request(scope), _too_long(most))(scope, receive, send)
            return
        await self._app(scope, _counted(receive, most), send)


def _counted(receive: Receive, most: int) -> Receive:
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > most:
            raise _too_long(most)
        return message

    return counted


def _too_long(most: int) -> Problem:
    return Problem(413, f"the body is longer than the {most} bytes that are taken here", "too-long")
