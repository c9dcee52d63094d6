"""What the API works with, and how a route gets it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from slipway.store import ObjectStore

from services.api.cluster import RunsCluster
from services.api.settings import ApiSettings
from services.api.tokens import Tokens


@dataclass(frozen=True)
class Desk:
    """What the API works with.

    Attributes:
      tokens: Whose a bearer token is.
      clock: Returns the time as RFC 3339, in UTC.
    """

    cluster: RunsCluster
    store: ObjectStore
    settings: ApiSettings
    tokens: Tokens
    clock: Callable[[], str]


def desk_of(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


async def _desk(request: Request) -> Desk:  # async: one that is not would be called in a thread
    return desk_of(request)


DeskOf = Annotated[Desk, Depends(_desk)]
