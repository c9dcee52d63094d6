"""`/v1/runs/{run}/artifacts` and `/report`: the files of a run."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel

from slipway import keys
from slipway.http.parameters import RunName
from slipway.http.problems import Problem, answers
from slipway.store.interface import key_names

from services.api.artifacts.downloads import DOWNLOAD_RESPONSES, download, report_headers
from services.api.artifacts.listing import Artifact
from services.api.artifacts.listing import list_artifacts as list_files
from services.api.auth.roles import Viewer
from services.api.context import ContextDep
from services.api.parameters import RunsDep

router = APIRouter(prefix="/v1/runs/{run}", tags=["artifacts"], responses=answers(401, 403, 422, 429, 503))

_NAME_BYTES = 255  # the limit of file systems, so no key has a longer name
_BYTES: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_PAGE: dict[str, Any] = {"schema": {"type": "string"}}

ArtifactPath = Annotated[
    str,
    Path(description="Below the run's folder.", min_length=1, max_length=900, examples=["export/model.tflite"]),
]


class ArtifactList(BaseModel):
    """Every file of a run, by path."""

    items: list[Artifact]


@router.get("/artifacts", responses=answers(404))
def list_artifacts(_: Viewer, context: ContextDep, runs: RunsDep, run: RunName) -> ArtifactList:
    """List the files that a run has written so far."""
    runs.find(run)
    return ArtifactList(items=list_files(context.store, run))


@router.get(
    "/artifacts/{path:path}",
    response_class=Response,
    responses={
        200: {"content": {"application/octet-stream": _BYTES}},
        307: {"description": "With `presign`: an address of the file in the store."},
        **DOWNLOAD_RESPONSES,
        **answers(404, 416),
    },
)
def get_artifact(
    request: Request,
    _: Viewer,
    context: ContextDep,
    run: RunName,
    path: ArtifactPath,
    presign: Annotated[bool, Query(description="Redirect to the store, if it has presigned addresses.")] = False,
) -> Response:
    """Get one file of a run, or a range of it."""
    key = f"{keys.run_folder(run)}/{path}"
    if any(len(name.encode()) > _NAME_BYTES for name in key_names(key)):
        raise Problem(404, f"run {run} has no artifact of so long a name")
    if presign and context.store.stat(key) is not None:
        address = context.store.presign(key, "GET", context.settings.presign_seconds)
        if address:
            return RedirectResponse(address, 307, {"Cache-Control": "no-store"})
    return download(context.store, key, request)


@router.get(
    "/report",
    response_class=Response,
    responses={200: {"content": {"text/html": _PAGE}}, **DOWNLOAD_RESPONSES, **answers(404, 416)},
)
def get_report(request: Request, _: Viewer, context: ContextDep, run: RunName) -> Response:
    """Get the report of a run: data, curves, metrics, samples. It is written when the run's last stage ends."""
    return download(context.store, keys.report(run), request, report_headers())
