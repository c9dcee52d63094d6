"""The server's store, settings, tokens and models, and how a route gets them."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from slipway.http.readiness import Readiness
from slipway.http.tokens import Tokens
from slipway.store.interface import ObjectStore

from services.detector.serving.admission import Admission
from services.detector.serving.metrics import Metrics
from services.detector.serving.model_cache import ModelCache
from services.detector.serving.settings import DetectorSettings


@dataclass(frozen=True)
class ServingContext:
    """Everything that routes share, made once when the process starts.

    Attributes:
      tokens: Finds the user of a bearer token.
    """

    store: ObjectStore
    settings: DetectorSettings
    tokens: Tokens
    metrics: Metrics
    models: ModelCache
    admission: Admission
    readiness: Readiness


def context_of(request: Request) -> ServingContext:
    context: ServingContext = request.app.state.context
    return context


async def _context(request: Request) -> ServingContext:  # async: FastAPI calls plain functions in a thread
    return context_of(request)


ContextDep = Annotated[ServingContext, Depends(_context)]
