"""`/`, `/runs/{run}`, `/datasets`: the pages of runs and datasets."""

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import ValidationError

from slipway import keys
from slipway.http.parameters import RunName
from slipway.http.problems import Problem, invalid
from slipway.run.names import PROCESS_NAMES
from slipway.run.pipeline import State
from slipway.store.interface import ObjectStore

from services.api.auth.roles import Viewer
from services.api.context import ContextDep
from services.api.datasets.listing import find_dataset, page_of_datasets
from services.api.datasets.routes import NamePart, ShaPart
from services.api.pages.render import PageRoute, render, static_files
from services.api.pages.run_page import RunView, list_folders, sample_paths, view_run, view_training
from services.api.parameters import RunsDep
from services.api.runs.listing import RunFilter
from services.api.runs.routes import RunQuery

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/")
def show_runs(request: Request, _: Viewer, context: ContextDep, runs: RunsDep) -> Response:
    """List runs; empty parameters, which the form sends too, are ignored."""
    query = _parse_query({name: value for name, value in request.query_params.items() if value})
    filter = RunFilter(query.state, query.dataset, query.name)
    page, position = runs.page(filter, query.limit or context.settings.page_size, query.page)
    parameters = query.model_dump(mode="json", exclude_none=True)
    first_page = query.model_dump(mode="json", exclude_none=True, exclude={"page"})
    return render(
        request,
        "runs.html",
        runs=[view_run(run, context.clock()) for run in page],
        query=query,
        is_filtered=bool(first_page.keys() - {"limit"}),
        states=list(State),
        page_url=f"/?{urlencode(parameters)}",
        older_url=f"/?{urlencode(parameters | {'page': position})}" if position else None,
        address=str(request.base_url).rstrip("/"),
        newest_url=f"/?{urlencode(first_page)}" if query.page else None,
    )


@router.get("/runs/{run}")
def show_run(request: Request, _: Viewer, context: ContextDep, runs: RunsDep, run: RunName) -> Response:
    view = view_run(runs.find(run), context.clock())
    folders = list_folders(context.store, run)
    return render(request, "run.html", folders=folders, log_stages=PROCESS_NAMES, **_live_values(context.store, view))


@router.get("/runs/{run}/live")
def show_live(request: Request, _: Viewer, context: ContextDep, runs: RunsDep, run: RunName) -> Response:
    """Return the part of a run's page that changes while it runs."""
    view = view_run(runs.find(run), context.clock())
    return render(request, "run_live.html", **_live_values(context.store, view))


@router.get("/datasets")
def show_datasets(
    request: Request, _: Viewer, context: ContextDep, page: Annotated[str | None, Query(max_length=200)] = None
) -> Response:
    datasets = page_of_datasets(context.store, context.settings.page_size, page)
    next_url = f"/datasets?{urlencode({'page': datasets.next})}" if datasets.next else None
    return render(request, "datasets.html", datasets=datasets.items, next_url=next_url, is_first=page is None)


@router.get("/datasets/{name}@{sha}")
def show_dataset(request: Request, _: Viewer, context: ContextDep, name: NamePart, sha: ShaPart) -> Response:
    dataset = find_dataset(context.store, name, sha)
    splits = dataset.splits.values()
    most_boxes = max((sum(split.per_class.get(label, 0) for split in splits) for label in dataset.labels), default=0)
    has_report = context.store.stat(keys.data_report(keys.dataset(name, sha), "html")) is not None
    return render(request, "dataset.html", dataset=dataset, most_boxes=most_boxes or 1, has_report=has_report)


@router.get("/static/{name}")
async def get_static(name: str) -> Response:
    """Return a style sheet, a script or the icon: without a token, since the login page needs them."""
    if name not in static_files():
        raise Problem(404, f"there is no {name}")
    media_type, content = static_files()[name]
    return Response(content, media_type=media_type, headers={"Cache-Control": "public, max-age=600"})


def _live_values(store: ObjectStore, run: RunView) -> dict[str, Any]:
    """Return the values of the part of a run's page that changes while it runs."""
    has_report = store.stat(keys.report(run.name)) is not None
    training, samples = view_training(store, run), sample_paths(store, run.name)
    return {"run": run, "training": training, "samples": samples, "has_report": has_report}


def _parse_query(parameters: dict[str, str]) -> RunQuery:
    try:
        return RunQuery.model_validate(parameters)
    except ValidationError as error:
        raise invalid([e | {"loc": ("query", *e["loc"])} for e in error.errors(include_url=False)]) from error
