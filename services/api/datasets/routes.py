"""`/v1/datasets`: upload archives of annotated images, and read the datasets made from them."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from pydantic import ConfigDict, Field
from starlette.requests import ClientDisconnect

from slipway import keys
from slipway.http.problems import Problem, answers
from slipway.models import StrictModel
from slipway.run.names import LONGEST_NAME, NAME_PATTERN
from slipway.run.spec import Ratio

from services.api.artifacts.downloads import DOWNLOAD_RESPONSES, download, headers_for, report_headers
from services.api.auth.audit import audit
from services.api.auth.roles import Submitter, Viewer
from services.api.context import ContextDep
from services.api.datasets import ingest_upload, uploads
from services.api.datasets.ingest_upload import UploadedDataset, UploadState
from services.api.datasets.listing import Dataset, DatasetPage, find_dataset, page_of_datasets

router = APIRouter(tags=["datasets"], responses=answers(401, 403, 422, 429, 503))

DatasetName = Annotated[str, Field(pattern=f"^{NAME_PATTERN}$", max_length=LONGEST_NAME - 9)]  # a run's adds nine
NamePart = Annotated[str, Path(pattern=f"^{NAME_PATTERN}$", max_length=LONGEST_NAME, examples=["harbour"])]
ShaPart = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$", examples=["ab" * 32])]
UploadId = Annotated[
    str, Path(alias="id", pattern=r"^\d{8}T\d{6}Z-[0-9a-f]{16}$", examples=["20260131T120000Z-3f2a9c1b3f2a9c1b"])
]


class ArchiveToSend(StrictModel):
    bytes: Annotated[int, Field(ge=1, le=1 << 50)]


class UploadRequest(StrictModel):
    """One zip or tar.gz that is going to be sent in parts.

    Attributes:
      test_ratio, val_ratio: Shares of the images for these splits, as in a run's `ingest`.
    """

    name: DatasetName
    archive: ArchiveToSend
    test_ratio: Ratio | None = None
    val_ratio: Ratio | None = None


class DatasetParameters(StrictModel):
    """The parameters of an archive that is sent in one request; those of a newer version are ignored."""

    model_config = ConfigDict(extra="ignore")

    name: DatasetName
    test_ratio: Ratio | None = None
    val_ratio: Ratio | None = None


@router.post(
    "/v1/datasets",
    status_code=201,
    responses=answers(400, 409, 413, 415),
    openapi_extra={"requestBody": ingest_upload.ARCHIVE_BODY},
)
async def send_dataset(
    request: Request, user: Submitter, context: ContextDep, parameters: Annotated[DatasetParameters, Query()]
) -> UploadedDataset:
    """Send a zip or tar.gz in one request, and ingest it."""
    with audit(request, "dataset.upload", parameters.name) as record:
        ingest_upload.check_store_is_shared(context.store)
        ingest_upload.check_media_type(request)
        id = record.target = uploads.new_id(context.clock())
        archive = uploads.Archive(**parameters.model_dump(), bytes=None, user=user.name)
        try:
            await run_in_threadpool(uploads.announce, context.store, id, archive)
            archive = await uploads.receive(context.store, id, archive, request.stream())
            await run_in_threadpool(uploads.announce, context.store, id, archive)
        except ClientDisconnect as error:
            await run_in_threadpool(uploads.discard, context.store, id)
            raise Problem(400, "the body ended too early; send it again") from error
        except Exception:
            await run_in_threadpool(uploads.discard, context.store, id)
            raise
        try:
            return await ingest_upload.ingest(context, user, id)
        except Exception:  # the client does not know the id: it sends all anew, and this copy would stay
            await run_in_threadpool(uploads.withdraw, context.store, id)
            raise


@router.post("/v1/datasets:begin", status_code=201, responses=answers(409, 413))
def begin_upload(request: Request, user: Submitter, context: ContextDep, upload: UploadRequest) -> UploadState:
    """Announce an archive in parts, and get addresses to send them to."""
    with audit(request, "dataset.begin", upload.name) as record:
        ingest_upload.check_store_is_shared(context.store)
        size, max_bytes = upload.archive.bytes, min(context.settings.limits.upload_bytes, uploads.MAX_ARCHIVE_BYTES)
        if size > max_bytes:
            raise Problem(413, f"the archive has {size} bytes; at most {max_bytes} are taken here", "too-long")
        id = record.target = uploads.new_id(context.clock())
        fields = upload.model_dump(exclude={"archive"})
        archive = uploads.Archive(**fields, bytes=size, user=user.name)
        state = ingest_upload.upload_state(context, id, archive)
        uploads.announce(context.store, id, archive)
        return state


@router.get("/v1/datasets/uploads/{id}", responses=answers(404, 409))
def get_upload(_: Submitter, context: ContextDep, id: UploadId) -> UploadState:
    """Get the parts that have arrived, and addresses for the others."""
    if upload := uploads.find_upload(context.store, id):
        return UploadState(id=id, name=upload.name, part_bytes=uploads.PART_BYTES, there=[], parts=[], is_complete=True)
    return ingest_upload.upload_state(context, id, ingest_upload.find_archive(context.store, id))


@router.post("/v1/datasets/uploads/{id}:complete", status_code=201, responses=answers(404, 409))
async def complete_upload(request: Request, user: Submitter, context: ContextDep, id: UploadId) -> UploadedDataset:
    """Unpack and ingest an archive whose parts were all sent. Sent again, the request has the same answer."""
    with audit(request, "dataset.complete", id):
        await run_in_threadpool(ingest_upload.check_parts, context.store, id)
        return await ingest_upload.ingest(context, user, id)


@router.get("/v1/datasets")
def list_datasets(
    _: Viewer,
    context: ContextDep,
    limit: Annotated[int | None, Query(ge=1, le=500)] = None,
    page: Annotated[str | None, Query(max_length=200, description="The `next` of the page before.")] = None,
) -> DatasetPage:
    """List the ingested datasets, by name."""
    return page_of_datasets(context.store, limit or context.settings.page_size, page)


@router.get("/v1/datasets/{name}@{sha}", responses=answers(404))
def get_dataset(_: Viewer, context: ContextDep, name: NamePart, sha: ShaPart) -> Dataset:
    """Get the numbers of a dataset."""
    return find_dataset(context.store, name, sha)


@router.get(
    "/v1/datasets/{name}@{sha}/report",
    response_class=Response,
    responses={
        200: {"content": {"text/html": {"schema": {"type": "string"}}, "application/json": {}}},
        **DOWNLOAD_RESPONSES,
        **answers(404, 416),
    },
)
def get_dataset_report(request: Request, _: Viewer, context: ContextDep, name: NamePart, sha: ShaPart) -> Response:
    """Get the data report of a dataset: a page, or with `Accept: application/json` the findings."""
    is_json = "application/json" in request.headers.get("accept", "")
    key = keys.data_report(keys.dataset(name, sha), "json" if is_json else "html")
    answer = download(context.store, key, request, headers_for(key) if is_json else report_headers())
    answer.headers["Vary"] = "Accept"
    return answer
