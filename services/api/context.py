"""What the API works with, and how a route gets it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from slipway.errors import SlipwayError
from slipway.http.readiness import ABSENT, silent_store
from slipway.http.tokens import Tokens
from slipway.store.interface import ObjectStore

from services.api.kube.runs import RunsCluster
from services.api.settings import ApiSettings


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


def silent_part(desk: Desk) -> str | None:
    """Say which of store and cluster does not answer."""
    if wrong := silent_store(desk.store):
        return wrong
    try:
        desk.cluster.get(ABSENT)
    except SlipwayError:
        return "the cluster does not answer"
    return None


DeskOf = Annotated[Desk, Depends(_desk)]
