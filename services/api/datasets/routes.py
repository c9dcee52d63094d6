"""`/v1/datasets`: send a folder of annotated images, and see what was made of it."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from starlette.requests import ClientDisconnect

from slipway import keys
from slipway.http.multipart import field_content
from slipway.http.problems import Problem, answers
from slipway.run.names import LONGEST_NAME, NAME_PATTERN

from services.api.artifacts.downloads import RESPONSES, download, headers_for, report_headers
from services.api.auth.audit import audit
from services.api.auth.roles import Submitter, Viewer
from services.api.context import ContextDep
from services.api.datasets import ingest_upload as intake
from services.api.datasets import uploads
from services.api.datasets.ingest_upload import UploadedDataset, UploadState
from services.api.datasets.listing import Dataset, DatasetPage, find_dataset, page_of_datasets
from services.api.parameters import RunsDep

router = APIRouter(tags=["datasets"], responses=answers(401, 403, 422, 429, 503))

_ARCHIVES = (
    "application/gzip",
    "application/octet-stream",
    "application/x-gzip",
    "application/x-tar+gzip",
    "application/x-zip-compressed",
    "application/zip",
)
_FORM = "multipart/form-data"
_BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_FIELD: dict[str, Any] = {"type": "object", "required": ["archive"], "properties": {"archive": _BINARY["schema"]}}
_BODY = {"content": {_FORM: {"schema": _FIELD}, **dict.fromkeys(_ARCHIVES, _BINARY)}, "required": True}

DatasetName = Annotated[str, Field(pattern=f"^{NAME_PATTERN}$", max_length=LONGEST_NAME - 9)]  # a run's adds nine
NamePart = Annotated[str, Path(pattern=f"^{NAME_PATTERN}$", max_length=LONGEST_NAME, examples=["harbour"])]
ShaPart = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$", examples=["ab" * 32])]
UploadId = Annotated[
    str, Path(alias="id", pattern=r"^\d{8}T\d{6}Z-[0-9a-f]{16}$", examples=["20260131T120000Z-3f2a9c1b3f2a9c1b"])
]


class _Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


class ArchiveToSend(_Model):
    bytes: Annotated[int, Field(ge=1, le=1 << 50)]


class UploadRequest(_Model):
    """What is going to be sent in parts: one zip or tar.gz."""

    name: DatasetName
    archive: ArchiveToSend


@router.post(
    "/v1/datasets",
    status_code=201,
    responses=answers(400, 409, 413, 415),
    openapi_extra={"requestBody": _BODY},
)
async def send_dataset(
    request: Request, user: Submitter, context: ContextDep, runs: RunsDep, name: Annotated[DatasetName, Query()]
) -> UploadedDataset:
    """Send a zip or tar.gz in one request, and have it ingested."""
    with audit(request, "dataset.upload", name) as record:
        intake.check_is_seen(context.store)
        chunks = _archive_of(request)
        id = record.target = uploads.new_id(context.clock())
        archive = uploads.Archive(name=name, bytes=None, user=user.name)
        try:
            await run_in_threadpool(uploads.announce, context.store, id, archive)
            archive = await uploads.receive(context.store, id, archive, chunks)
            await run_in_threadpool(uploads.announce, context.store, id, archive)
        except ClientDisconnect as error:
            await run_in_threadpool(uploads.discard, context.store, id)
            raise Problem(400, "the body ended too early; send it again") from error
        except Exception:
            await run_in_threadpool(uploads.discard, context.store, id)
            raise
        try:
            return await intake.ingested(context, runs.cluster, user, id)
        except Exception:  # the client has not learnt the id: it sends all anew, and this copy would stay
            await run_in_threadpool(uploads.withdraw, context.store, id)
            raise


@router.post("/v1/datasets:begin", status_code=201, responses=answers(409, 413))
def begin_upload(request: Request, user: Submitter, context: ContextDep, asked: UploadRequest) -> UploadState:
    """Say that an archive will be sent in parts, and learn where to send them."""
    with audit(request, "dataset.begin", asked.name) as record:
        intake.check_is_seen(context.store)
        size, most = asked.archive.bytes, min(context.settings.limits.upload_bytes, uploads.MOST_BYTES)
        if size > most:
            raise Problem(413, f"the archive has {size} bytes; at most {most} are taken here", "too-long")
        id = record.target = uploads.new_id(context.clock())
        archive = uploads.Archive(name=asked.name, bytes=size, user=user.name)
        state = intake.state(context, id, archive)
        uploads.announce(context.store, id, archive)
        return state


@router.get("/v1/datasets/uploads/{id}", responses=answers(404, 409))
def get_upload(_: Submitter, context: ContextDep, id: UploadId) -> UploadState:
    """See which parts are there, and where to send the others."""
    if there := uploads.completed(context.store, id):
        return UploadState(id=id, name=there.name, part_bytes=uploads.PART_BYTES, there=[], parts=[], is_complete=True)
    return intake.state(context, id, intake.announced(context.store, id))


@router.post("/v1/datasets/uploads/{id}:complete", status_code=201, responses=answers(404, 409))
async def complete_upload(
    request: Request, user: Submitter, context: ContextDep, runs: RunsDep, id: UploadId
) -> UploadedDataset:
    """Say that all parts were sent: they are unpacked and ingested. Sent again, it has the same answer."""
    with audit(request, "dataset.complete", id):
        await run_in_threadpool(intake.check_parts, context.store, id)
        return await intake.ingested(context, runs.cluster, user, id)


@router.get("/v1/datasets")
def list_datasets(
    _: Viewer,
    context: ContextDep,
    limit: Annotated[int | None, Query(ge=1, le=500)] = None,
    page: Annotated[str | None, Query(max_length=200, description="What the page before said as next.")] = None,
) -> DatasetPage:
    """List datasets that were ingested, by name."""
    return page_of_datasets(context.store, limit or context.settings.page_size, page)


@router.get("/v1/datasets/{name}@{sha}", responses=answers(404))
def get_dataset(_: Viewer, context: ContextDep, name: NamePart, sha: ShaPart) -> Dataset:
    """Get what a dataset holds, in numbers."""
    return find_dataset(context.store, name, sha)


@router.get(
    "/v1/datasets/{name}@{sha}/report",
    response_class=Response,
    responses={
        200: {"content": {"text/html": {"schema": {"type": "string"}}, "application/json": {}}},
        **RESPONSES,
        **answers(404, 416),
    },
)
def get_dataset_report(request: Request, _: Viewer, context: ContextDep, name: NamePart, sha: ShaPart) -> Response:
    """Get what was found in a dataset: a page, or with `Accept: application/json` the findings."""
    is_json = "application/json" in request.headers.get("accept", "")
    key = keys.data_report(keys.dataset(name, sha), "json" if is_json else "html")
    answer = download(context.store, key, request, headers_for(key) if is_json else report_headers())
    answer.headers["Vary"] = "Accept"
    return answer


def _archive_of(request: Request) -> AsyncIterator[bytes]:
    """Return the body's archive, as it arrives. Raises `Problem` 415."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == _FORM:
        return field_content(request, "archive")
    if kind not in _ARCHIVES:
        raise Problem(415, f"the body is {kind or 'of no type'!r}; send {_FORM} or one of {', '.join(_ARCHIVES)}")
    return request.stream()
