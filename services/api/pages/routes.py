"""`/`, `/runs/{run}`, `/datasets`: what there is, for people."""

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import ValidationError

from slipway import keys
from slipway.http.parameters import RunName
from slipway.http.problems import Problem, invalid
from slipway.run.pipeline import State
from slipway.store.interface import ObjectStore

from services.api.auth.roles import Viewer
from services.api.context import ContextDep
from services.api.datasets.listing import find_dataset, page_of_datasets
from services.api.datasets.routes import NamePart, ShaPart
from services.api.pages import run_page as pages_run
from services.api.pages.render import PageRoute, render, static_files
from services.api.parameters import RunsDep
from services.api.runs.listing import Wanted
from services.api.runs.routes import RunFilter

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/")
def show_runs(request: Request, _: Viewer, context: ContextDep, runs: RunsDep) -> Response:
    """List runs; as a form sends them, fields that are empty choose nothing."""
    asked = _filter({name: value for name, value in request.query_params.items() if value})
    wanted = Wanted(asked.state, asked.dataset, asked.name)
    found, after = runs.page(wanted, asked.limit or context.settings.page_size, asked.page)
    chosen = asked.model_dump(mode="json", exclude_none=True)
    return render(
        request,
        "runs.html",
        runs=[pages_run.view(run, context.clock()) for run in found],
        asked=asked,
        is_filtered=bool(chosen.keys() - {"limit", "page"}),
        states=list(State),
        here=f"/?{urlencode(chosen)}",
        older=f"/?{urlencode(chosen | {'page': after})}" if after else None,
        address=str(request.base_url).rstrip("/"),
        newest=f"/?{urlencode({k: v for k, v in chosen.items() if k != 'page'})}" if asked.page else None,
    )


@router.get("/runs/{run}")
def show_run(request: Request, _: Viewer, context: ContextDep, runs: RunsDep, run: RunName) -> Response:
    shown = pages_run.view(runs.find(run), context.clock())
    folders = pages_run.folders(context.store, run)
    return render(request, "run.html", folders=folders, **_live(context.store, shown))


@router.get("/runs/{run}/live")
def show_live(request: Request, _: Viewer, context: ContextDep, runs: RunsDep, run: RunName) -> Response:
    """Return the part of a run's page that changes while it runs."""
    shown = pages_run.view(runs.find(run), context.clock())
    return render(request, "run_live.html", **_live(context.store, shown))


@router.get("/datasets")
def show_datasets(
    request: Request, _: Viewer, context: ContextDep, page: Annotated[str | None, Query(max_length=200)] = None
) -> Response:
    found = page_of_datasets(context.store, context.settings.page_size, page)
    following = f"/datasets?{urlencode({'page': found.next})}" if found.next else None
    return render(request, "datasets.html", datasets=found.items, following=following, is_first=page is None)


@router.get("/datasets/{name}@{sha}")
def show_dataset(request: Request, _: Viewer, context: ContextDep, name: NamePart, sha: ShaPart) -> Response:
    found = find_dataset(context.store, name, sha)
    longest = max((sum(s.per_class.get(label, 0) for s in found.splits.values()) for label in found.labels), default=0)
    has_report = context.store.size(keys.data_report(keys.dataset(name, sha), "html")) is not None
    return render(request, "dataset.html", dataset=found, longest=longest or 1, has_report=has_report)


@router.get("/static/{name}")
async def get_static(name: str) -> Response:
    """Return style or script; they hold nothing that is secret, and the login needs them."""
    if name not in static_files():
        raise Problem(404, f"there is no {name}")
    media_type, content = static_files()[name]
    return Response(content, media_type=media_type, headers={"Cache-Control": "public, max-age=600"})


def _live(store: ObjectStore, shown: pages_run.RunView) -> dict[str, Any]:
    has_report = store.size(keys.report(shown.name)) is not None
    pictures, course = pages_run.samples(store, shown.name), pages_run.course(store, shown)
    return {"run": shown, "course": course, "samples": pictures, "has_report": has_report}


def _filter(query: dict[str, str]) -> RunFilter:
    try:
        return RunFilter.model_validate(query)
    except ValidationError as error:
        raise invalid([e | {"loc": ("query", *e["loc"])} for e in error.errors(include_url=False)]) from error
