"""Limits for one client: requests per second, and bytes per body."""

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

_MOST_CLIENTS = 10_000  # remembered; a forgotten client begins with a full bucket


class Rate(Protocol):
    """Rate limit of one client: on average, and at once."""

    @property
    def requests_per_second(self) -> float: ...

    @property
    def burst(self) -> int: ...


@dataclass
class _Bucket:
    tokens: float
    filled_at: float


class Buckets:
    """One token bucket per client: `burst` at once, `requests_per_second` on average."""

    def __init__(self, rate: Rate, now: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._now = rate, now
        self._clients: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, client: str) -> float:
        """Take a token and return 0, or return the seconds until there is one."""
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
    """Limits the requests of each user; requests without a valid token are counted by address.

    Wrong tokens never delay a valid one from the same address, which may be a proxy's.
    """

    def __init__(self, rate: Rate, now: Callable[[], float] = time.monotonic) -> None:
        self._users, self._addresses = Buckets(rate, now), Buckets(rate, now)

    def admit(self, user: str) -> None:
        """Count a request. Raises `Problem` 429."""
        _check(self._users.take(user), f"{user} asks too often")

    def count_refusal(self, address: str) -> None:
        """Count a request without a valid token. Raises `Problem` 429."""
        _check(self._addresses.take(address), "too many requests without a good token")


def gate_of(request: Request) -> Gate:
    gate: Gate = request.app.state.gate
    return gate


def _check(wait_sec: float, reason: str) -> None:
    if wait_sec:
        seconds = max(1, ceil(wait_sec))
        raise Problem(429, f"{reason}; try again in {seconds} s", "too-often", headers={"Retry-After": str(seconds)})


class BodyLimit:
    """Rejects bodies that are too long: at once by Content-Length, otherwise when the limit is passed.

    Args:
      limit: Returns the most bytes of a body, for a method and a path.
    """

    def __init__(self, app: ASGIApp, limit: Callable[[str, str], int]) -> None:
        self._app, self._limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limit(scope["method"], scope["path"])
        length = Headers(scope=scope).get("content-length", "")
        if length.isdigit() and int(length) > limit:
            await respond(Request(scope), _too_long(limit))(scope, receive, send)
            return
        await self._app(scope, _limited(receive, limit), send)


def _limited(receive: Receive, limit: int) -> Receive:
    size = 0

    async def receive_limited() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > limit:
            raise _too_long(limit)
        return message

    return receive_limited


def _too_long(limit: int) -> Problem:
    return Problem(413, f"the body is longer than the {limit} bytes that are accepted here", "too-long")
