"""The API's cluster, store, settings and tokens, and how a route gets them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from slipway.errors import SlipwayError
from slipway.http.readiness import ABSENT, store_fault
from slipway.http.tokens import Tokens
from slipway.store.interface import ObjectStore

from services.api.kube.runs import RunsCluster
from services.api.settings import ApiSettings


@dataclass(frozen=True)
class ApiContext:
    """Everything that routes share, made once when the process starts.

    Attributes:
      tokens: Finds the user of a bearer token.
      clock: Returns the time as RFC 3339, in UTC.
    """

    cluster: RunsCluster
    store: ObjectStore
    settings: ApiSettings
    tokens: Tokens
    clock: Callable[[], str]


def context_of(request: Request) -> ApiContext:
    context: ApiContext = request.app.state.context
    return context


async def _context(request: Request) -> ApiContext:  # async: FastAPI calls plain functions in a thread
    return context_of(request)


def find_outage(context: ApiContext) -> str | None:
    """Return a sentence on the store or the cluster if one of them does not answer."""
    if outage := store_fault(context.store):
        return outage
    try:
        context.cluster.get(ABSENT)
    except SlipwayError:
        return "the cluster does not answer"
    return None


ContextDep = Annotated[ApiContext, Depends(_context)]
