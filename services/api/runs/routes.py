"""`/v1/runs`: submit, list, get, act, delete."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from slipway.http.parameters import RunName
from slipway.http.problems import Problem, answers
from slipway.run.pipeline import State

from services.api.auth.audit import audit
from services.api.auth.roles import Admin, Submitter, Viewer
from services.api.context import ContextDep
from services.api.parameters import IfMatch, IfNoneMatch, RunsDep, matches
from services.api.runs.actions import Action, act
from services.api.runs.listing import Run, RunFilter, RunPage, Runs
from services.api.runs.run_object import RunObject
from services.api.runs.submit import RunRequest, parse_request, prepare, submit

router = APIRouter(prefix="/v1/runs", tags=["runs"], responses=answers(401, 403, 422, 429, 503))

_EXAMPLE = {
    "apiVersion": "slipway.dev/v1alpha1",
    "kind": "TrainingRun",
    "metadata": {"name": "harbour-long"},
    "spec": {"dataset": {"source": "s3://slipway/uploads/3f2a9c1b"}, "train": {"steps": 3000}},
}
_BODY = {"schema": {"$ref": f"#/components/schemas/{RunRequest.__name__}"}, "example": _EXAMPLE}
_ETAG = {"ETag": {"description": "Another value whenever the run has changed.", "schema": {"type": "string"}}}
_LOCATION = {"Location": {"description": "Path of the run.", "schema": {"type": "string"}}}

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="Chosen by the client for one submission; sent again with the same body it makes no second run.",
        pattern=r"^[\x21-\x7e]+$",
        max_length=255,
    ),
]


class RunQuery(BaseModel):
    """The runs to list, and their number."""

    model_config = ConfigDict(extra="forbid")

    state: State | None = None
    dataset: Annotated[str | None, Field(max_length=200, description="A name, or name@sha256.")] = None
    name: Annotated[str | None, Field(max_length=52, description="A part of the run's name.")] = None
    limit: Annotated[int | None, Field(ge=1, le=500)] = None
    page: Annotated[str | None, Field(max_length=400, description="The `next` of the page before.")] = None


@router.post(
    "",
    status_code=201,
    response_model=Run,
    responses={
        200: {
            "model": Run,
            "description": "The run that an earlier request with the same key and body made.",
            "headers": _ETAG,
        },
        201: {"headers": _ETAG | _LOCATION},
        **answers(400, 409, 413, 415),
    },
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": _BODY}}},
)
async def submit_run(
    request: Request, user: Submitter, context: ContextDep, runs: RunsDep, idempotency_key: IdempotencyKey = None
) -> Response:
    """Submit a run."""
    with audit(request, "run.create") as record:
        _check_media_type(request)
        submission = prepare(parse_request(await request.body()), user, idempotency_key)
        record.target = submission.name
        run, is_new = await run_in_threadpool(submit, submission, runs.cluster, context.store)
        record.outcome = "done" if is_new else "unchanged"
    return _answer(run, 201 if is_new else 200, {"Location": f"/v1/runs/{record.target}"})


@router.get("", response_model=RunPage)
def list_runs(_: Viewer, context: ContextDep, runs: RunsDep, query: Annotated[RunQuery, Query()]) -> Response:
    """List runs, newest first; also those whose object is gone."""
    filter = RunFilter(query.state, query.dataset, query.name)
    page, position = runs.page(filter, query.limit or context.settings.page_size, query.page)
    return JSONResponse({"items": [run.answer() for run in page]} | ({"next": position} if position else {}))


@router.get(
    "/{run}",
    response_model=Run,
    responses={200: {"headers": _ETAG}, 304: {"description": "The run is unchanged."}, **answers(404)},
)
def get_run(_: Viewer, runs: RunsDep, run: RunName, if_none_match: IfNoneMatch = None) -> Response:
    """Get a run."""
    run_object = runs.find(run)
    if if_none_match is not None and matches(run_object.etag, if_none_match):
        return Response(status_code=304, headers={"ETag": run_object.etag})
    return _answer(run_object)


@router.delete("/{run}", status_code=204, responses=answers(404, 409))
def delete_run(request: Request, _: Admin, runs: RunsDep, run: RunName) -> Response:
    """Delete a run's object, and its Jobs; its artifacts stay."""
    delete(request, runs, run)
    return Response(status_code=204)


def delete(request: Request, runs: Runs, run: str) -> None:
    """Delete a run's object. Raises `Problem` 404, and 409 when it is gone already."""
    with audit(request, "run.delete", run):
        if runs.find(run).version is None:
            raise Problem(409, f"the object of {run} is gone already; its artifacts stay", "state-forbids")
        runs.cluster.delete(run)


def change(request: Request, runs: Runs, run: str, action: Action, if_match: str | None = None) -> RunObject:
    """Carry out an action on a run. Raises `Problem` as `act` does."""
    with audit(request, f"run.{action}", run) as record:
        run_object, has_changed = act(run, action, if_match, runs)
        record.outcome = "done" if has_changed else "unchanged"
    return run_object


def _add_action_route(action: Action, summary: str) -> None:
    """Add the route of one action to the router."""

    def route(request: Request, _: Submitter, runs: RunsDep, run: RunName, if_match: IfMatch = None) -> Response:
        return _answer(change(request, runs, run, action, if_match))

    responses: dict[int | str, dict[str, Any]] = {200: {"headers": _ETAG}, **answers(404, 409, 412)}
    path = f"/{{run}}:{action}"
    router.post(path, name=f"{action}_run", summary=summary, response_model=Run, responses=responses)(route)


_add_action_route(Action.CANCEL, "End a run")
_add_action_route(Action.SUSPEND, "End a run's processes, and keep their results")
_add_action_route(Action.RESUME, "Continue a suspended run")
_add_action_route(Action.RETRY, "Start a failed run again, at the stage that failed")


def _answer(run: RunObject, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse(run.answer(), status, {"ETag": run.etag} | (headers or {}))


def _check_media_type(request: Request) -> None:
    media_type = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Problem(415, f"the body is {media_type!r}; send application/json")
