"""What the server works with, and how a route gets it."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from slipway.http.readiness import Readiness
from slipway.http.tokens import Tokens
from slipway.store.interface import ObjectStore

from services.detector.serving.admission import Turns
from services.detector.serving.metrics import Metrics
from services.detector.serving.model_cache import Shelf
from services.detector.serving.settings import DetectorSettings


@dataclass(frozen=True)
class Bench:
    """What the server works with."""

    store: ObjectStore
    settings: DetectorSettings
    tokens: Tokens
    metrics: Metrics
    shelf: Shelf
    turns: Turns
    readiness: Readiness


def bench_of(request: Request) -> Bench:
    bench: Bench = request.app.state.bench
    return bench


async def _bench(request: Request) -> Bench:  # async: one that is not would be called in a thread
    return bench_of(request)


BenchOf = Annotated[Bench, Depends(_bench)]
