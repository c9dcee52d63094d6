"""`/v1/runs`: submit, list, get, act, delete."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from slipway.http.parameters import RunName
from slipway.http.problems import Problem, answers
from slipway.kube.objects import KubernetesObject
from slipway.run.pipeline import State

from services.api.auth.audit import audit
from services.api.auth.roles import Admin, Submitter, Viewer
from services.api.context import ContextDep
from services.api.parameters import IfMatch, IfNoneMatch, RunsDep, matches
from services.api.runs.actions import Action, act
from services.api.runs.listing import Run, RunPage, Runs, Wanted, etag, shown
from services.api.runs.submit import RunRequest, asked, parse, submit

router = APIRouter(prefix="/v1/runs", tags=["runs"], responses=answers(401, 403, 422, 429, 503))

_EXAMPLE = {
    "apiVersion": "slipway.dev/v1alpha1",
    "kind": "TrainingRun",
    "metadata": {"name": "harbour-long"},
    "spec": {"dataset": {"source": "s3://slipway/uploads/3f2a9c1b"}, "train": {"steps": 3000}},
}
_BODY = {"schema": {"$ref": f"#/components/schemas/{RunRequest.__name__}"}, "example": _EXAMPLE}
_ETAG = {"ETag": {"description": "Another whenever the run is.", "schema": {"type": "string"}}}
_LOCATION = {"Location": {"description": "Where the run is.", "schema": {"type": "string"}}}

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="Chosen by the client, once a submission: sent again with the same body it makes no second run.",
        pattern=r"^[\x21-\x7e]+$",
        max_length=255,
    ),
]


class RunFilter(BaseModel):
    """Which runs, and how many."""

    model_config = ConfigDict(extra="forbid")

    state: State | None = None
    dataset: Annotated[str | None, Field(max_length=200, description="A name, or name@sha256.")] = None
    name: Annotated[str | None, Field(max_length=52, description="A part of the run's name.")] = None
    limit: Annotated[int | None, Field(ge=1, le=500)] = None
    page: Annotated[str | None, Field(max_length=400, description="What the page before said as next.")] = None


@router.post(
    "",
    status_code=201,
    response_model=Run,
    responses={
        200: {
            "model": Run,
            "description": "The same key and body were sent before: the run that they made.",
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
        run = asked(parse(await request.body()), user, idempotency_key)
        record.target = run.run.metadata.name
        made, is_new = await run_in_threadpool(submit, run, runs.cluster, context.store)
        record.outcome = "done" if is_new else "unchanged"
    return _answer(made, 201 if is_new else 200, {"Location": f"/v1/runs/{record.target}"})


@router.get("", response_model=RunPage)
def list_runs(_: Viewer, context: ContextDep, runs: RunsDep, asked: Annotated[RunFilter, Query()]) -> Response:
    """List runs, newest first; those whose object is gone too."""
    wanted = Wanted(asked.state, asked.dataset, asked.name)
    items, after = runs.page(wanted, asked.limit or context.settings.page_size, asked.page)
    return JSONResponse({"items": [shown(found) for found in items]} | ({"next": after} if after else {}))


@router.get(
    "/{run}",
    response_model=Run,
    responses={200: {"headers": _ETAG}, 304: {"description": "As it was."}, **answers(404)},
)
def get_run(_: Viewer, runs: RunsDep, run: RunName, if_none_match: IfNoneMatch = None) -> Response:
    """Get a run."""
    found = runs.find(run)
    if if_none_match is not None and matches(etag(found), if_none_match):
        return Response(status_code=304, headers={"ETag": etag(found)})
    return _answer(found)


@router.delete("/{run}", status_code=204, responses=answers(404, 409))
def delete_run(request: Request, _: Admin, runs: RunsDep, run: RunName) -> Response:
    """Delete a run's object, and with it its Jobs; its artifacts stay."""
    remove(request, runs, run)
    return Response(status_code=204)


def remove(request: Request, runs: Runs, run: str) -> None:
    """Delete a run's object. Raises `Problem` 404, and 409 where it is gone already."""
    with audit(request, "run.delete", run):
        if "resourceVersion" not in runs.find(run)["metadata"]:
            raise Problem(409, f"the object of {run} is gone already; its artifacts stay", "state-forbids")
        runs.cluster.delete(run)


def _acting(action: Action, summary: str) -> None:
    """Add the route of one action."""

    def route(request: Request, _: Submitter, runs: RunsDep, run: RunName, if_match: IfMatch = None) -> Response:
        with audit(request, f"run.{action}", run) as record:
            found, has_changed = act(run, action, if_match, runs)
            record.outcome = "done" if has_changed else "unchanged"
        return _answer(found)

    responses: dict[int | str, dict[str, Any]] = {200: {"headers": _ETAG}, **answers(404, 409, 412)}
    path = f"/{{run}}:{action}"
    router.post(path, name=f"{action}_run", summary=summary, response_model=Run, responses=responses)(route)


_acting(Action.CANCEL, "End a run")
_acting(Action.SUSPEND, "End a run's processes, and keep what they did")
_acting(Action.RESUME, "Let a suspended run go on")
_acting(Action.RETRY, "Start a failed run again, at the stage that failed")


def _answer(found: KubernetesObject, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse(shown(found), status, {"ETag": etag(found)} | (headers or {}))


def _check_media_type(request: Request) -> None:
    given = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if given != "application/json":
        raise Problem(415, f"the body is {given!r}; send application/json")
