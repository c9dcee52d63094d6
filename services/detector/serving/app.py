"""ASGI application of the server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from slipway.errors import BrokenExport
from slipway.http.limits import BodyLimit, Gate
from slipway.http.problems import Problem, ProblemBody, install, respond
from slipway.http.readiness import Readiness, store_fault
from slipway.http.request_log import RequestLog
from slipway.http.tokens import Tokens
from slipway.store.interface import ObjectStore

from services.detector.serving.admission import Admission
from services.detector.serving.context import ServingContext
from services.detector.serving.metrics import Metrics
from services.detector.serving.model_cache import ModelCache, Source, WarmUp
from services.detector.serving.model_loader import Export, Model, find_export
from services.detector.serving.routes import router
from services.detector.serving.settings import DetectorSettings

_DESCRIPTION = """Detects in an image with the exported model of a run; answers boxes in pixels, or the drawn image.

Every error is a problem (RFC 9457); every answer has an X-Request-Id."""


def create_app(
    store: ObjectStore, settings: DetectorSettings, tokens: Tokens, load: Callable[[Export], Model]
) -> FastAPI:
    """Return the application; it begins to load models when it starts."""
    metrics, warm_up = Metrics(), WarmUp(settings.models)
    context = ServingContext(
        store,
        settings,
        tokens,
        metrics,
        ModelCache(Source(partial(find_export, store), load), settings.kept_models, metrics),
        Admission(settings.limits.at_once, settings.limits.waiting),
        Readiness(lambda: store_fault(store) or _describe_missing(warm_up)),
    )
    app = _Application(
        title="Slipway's detector",
        description=_DESCRIPTION,
        docs_url=None,  # the pages would load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_load_models_at_start(warm_up, context.models),
    )
    app.state.context, app.state.gate = context, Gate(settings.limits)
    install(app)
    app.add_exception_handler(BrokenExport, _answer_broken_export)
    app.add_middleware(BodyLimit, limit=settings.limits.bytes_of)
    app.add_middleware(RequestLog, metrics=metrics)  # added last: outermost
    app.include_router(router)
    return app


class _Application(FastAPI):
    def openapi(self) -> dict[str, Any]:
        """Return the schema, with the body of problems, which no route returns by itself."""
        if not self.openapi_schema:
            schema = ProblemBody.model_json_schema(by_alias=True, ref_template="#/components/schemas/{model}")
            schemas = super().openapi().setdefault("components", {}).setdefault("schemas", {})
            schemas |= {**schema.pop("$defs", {}), "ProblemBody": schema}
        return super().openapi()


def _load_models_at_start(
    warm_up: WarmUp, models: ModelCache
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        loading = asyncio.create_task(warm_up.load(models))
        yield
        loading.cancel()

    return lifespan


def _describe_missing(warm_up: WarmUp) -> str | None:
    return f"not loaded yet: {', '.join(sorted(warm_up.missing_runs))}" if warm_up.missing_runs else None


async def _answer_broken_export(request: Request, error: Exception) -> JSONResponse:
    return respond(request, Problem(500, str(error)))
