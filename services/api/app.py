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
from services.api.context import Desk, silent_part
from services.api.datasets import routes as datasets
from services.api.logs import routes as logs
from services.api.logs.event_stream import Streams
from services.api.metrics import Metrics
from services.api.pages import form_routes as forms
from services.api.pages import routes as pages
from services.api.runs import routes as runs
from services.api.runs.listing import Runs
from services.api.runs.submit import RunRequest

_DESCRIPTION = """A folder of annotated images in, a trained, measured, exported object detector out.

Every error is a problem (RFC 9457) with a JSON pointer to each wrong field; every answer has an X-Request-Id."""

_TAGS = [
    {"name": "runs", "description": "Submit runs, find them, and decide what becomes of them."},
    {"name": "progress", "description": "What a run says while it runs."},
    {"name": "datasets", "description": "Upload annotated images, and read what was found in them."},
    {"name": "artifacts", "description": "What a run made."},
    {"name": "about", "description": "What can be asked for."},
    {"name": "health", "description": "For probes; no token is needed."},
]
_UNDECLARED = (ProblemBody, RunRequest)  # referred to by routes, but no route's own


def create_app(desk: Desk) -> FastAPI:
    """Return the application; it begins nothing by itself."""
    app = _Slipway(
        title="Slipway",
        version=_version(),
        description=_DESCRIPTION,
        docs_url=None,  # FastAPI's own would load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        separate_input_output_schemas=False,
        openapi_tags=_TAGS,
    )
    metrics = Metrics()
    app.state.desk = desk
    app.state.metrics = metrics
    app.state.gate = Gate(desk.settings.limits)
    app.state.runs = Runs(desk.cluster, desk.store)
    app.state.streams = Streams(desk.settings.limits.streams, metrics.streams)
    app.state.readiness = Readiness(lambda: silent_part(desk))
    install(app)
    app.add_middleware(BodyLimit, most=desk.settings.limits.bytes_of)
    app.add_middleware(RequestLog, metrics=metrics)  # added last: outermost
    for router in routers():
        app.include_router(router)
    return app


class _Slipway(FastAPI):
    def openapi(self) -> dict[str, Any]:
        """Describe the API once, with the bodies that routes read by themselves."""
        if not self.openapi_schema:
            schemas = super().openapi().setdefault("components", {}).setdefault("schemas", {})
            for model in _UNDECLARED:
                schemas |= _schemas(model) | schemas
        return super().openapi()


def routers() -> list[APIRouter]:
    """Return everything that is served."""
    return [runs.router, logs.router, artifacts.router, datasets.router, about.router, pages.router, forms.router]


def _schemas(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema(by_alias=True, ref_template="#/components/schemas/{model}")
    return {**schema.pop("$defs", {}), model.__name__: schema}


def _version() -> str:
    try:
        return version("slipway")
    except PackageNotFoundError:  # run from a checkout
        return "0"
