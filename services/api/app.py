"""The API as an ASGI application."""

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastapi import APIRouter, FastAPI
from pydantic import BaseModel

from slipway.http.limits import BodyLimit, Gate
from slipway.http.problems import ProblemBody, install
from slipway.http.readiness import Readiness
from slipway.http.request_log import RequestLog

from services.api.about import routes as about
from services.api.artifacts import routes as artifacts
from services.api.context import ApiContext, find_outage
from services.api.datasets import routes as datasets
from services.api.logs import routes as logs
from services.api.logs.event_stream import Streams
from services.api.metrics import Metrics
from services.api.pages import form_routes as forms
from services.api.pages import routes as pages
from services.api.runs import routes as runs
from services.api.runs.listing import Runs
from services.api.runs.submit import RunRequest
from services.api.weights import routes as weights

_DESCRIPTION = """A folder of annotated images in, a trained, measured, exported object detector out.

Every error is a problem (RFC 9457) with a JSON pointer to each wrong field; every answer has an X-Request-Id."""

_TAGS = [
    {"name": "runs", "description": "Submit, find, change and delete runs."},
    {"name": "progress", "description": "Follow the logs, events and metrics of a run."},
    {"name": "datasets", "description": "Upload annotated images, and read the reports on them."},
    {"name": "weights", "description": "Send initial checkpoints, and list them."},
    {"name": "artifacts", "description": "List and get the files of a run."},
    {"name": "about", "description": "List the presets and schemas that requests may use."},
    {"name": "health", "description": "For probes; no token is needed."},
]
_EXTRA_MODELS = (ProblemBody, RunRequest)  # routes refer to them, but declare neither


def create_app(context: ApiContext) -> FastAPI:
    """Return the application; it starts no thread and opens no connection."""
    app = _Slipway(
        title="Slipway",
        version=_version(),
        description=_DESCRIPTION,
        docs_url=None,  # FastAPI's own page would load scripts from another site
        redoc_url=None,
        redirect_slashes=False,
        separate_input_output_schemas=False,
        openapi_tags=_TAGS,
    )
    metrics = Metrics()
    app.state.context = context
    app.state.metrics = metrics
    app.state.gate = Gate(context.settings.limits)
    app.state.runs = Runs(context.cluster, context.store)
    app.state.streams = Streams(context.settings.limits.streams, metrics.streams)
    app.state.readiness = Readiness(lambda: find_outage(context))
    install(app)
    app.add_middleware(BodyLimit, limit=context.settings.limits.bytes_of)
    app.add_middleware(RequestLog, metrics=metrics)  # added last: outermost
    for router in routers():
        app.include_router(router)
    return app


class _Slipway(FastAPI):
    def openapi(self) -> dict[str, Any]:
        """Return the description of the API, which includes the bodies that routes parse themselves."""
        if not self.openapi_schema:
            schemas = super().openapi().setdefault("components", {}).setdefault("schemas", {})
            for model in _EXTRA_MODELS:
                schemas |= _schemas(model) | schemas
        return super().openapi()


def routers() -> list[APIRouter]:
    """Return the routers of all routes."""
    api_routes = [runs, logs, artifacts, datasets, weights, about]
    return [*(routes.router for routes in api_routes), pages.router, forms.router]


def _schemas(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema(by_alias=True, ref_template="#/components/schemas/{model}")
    return {**schema.pop("$defs", {}), model.__name__: schema}


def _version() -> str:
    try:
        return version("slipway")
    except PackageNotFoundError:  # run from a checkout
        return "0"
