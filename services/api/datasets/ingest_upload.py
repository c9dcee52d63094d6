"""The steps from an upload to a dataset: addresses for parts, a check, unpacking, and a run that ingests the files."""

from functools import partial
from typing import Any

from anyio import CapacityLimiter, to_thread
from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from slipway import keys
from slipway.errors import MissingKey
from slipway.http.problems import Problem
from slipway.http.tokens import User
from slipway.models import AnswerModel
from slipway.run.spec import DatasetSpec, IngestSpec, RunSpec
from slipway.store.interface import ObjectStore
from slipway.unpack import ArchiveLimits

from services.api.context import ApiContext
from services.api.datasets import uploads
from services.api.kube.runs import RunsCluster
from services.api.runs.submit import RequestMetadata, RunRequest, prepare, submit

_ARCHIVE_TYPES = (
    "application/gzip",
    "application/octet-stream",
    "application/x-gzip",
    "application/x-tar+gzip",
    "application/x-zip-compressed",
    "application/zip",
)
_BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
ARCHIVE_BODY = {"content": dict.fromkeys(_ARCHIVE_TYPES, _BINARY), "required": True}
_UNPACK_LIMITER = CapacityLimiter(2)  # each holds a file in memory, and several that are being written
_MAX_NUMBERS = 5  # of parts in a message


class UploadPart(AnswerModel):
    """A part that has not arrived.

    Attributes:
      number: From 1.
      url: PUT the part's bytes to this address; it needs no token, and expires.
    """

    number: int
    url: str


class UploadState(AnswerModel):
    """The progress of an upload.

    Attributes:
      part_bytes: Size of every part but the last.
      there: Numbers of the parts that have arrived.
      parts: The parts that have not arrived.
      is_complete: The upload was unpacked.
    """

    id: str
    name: str
    part_bytes: int
    there: list[int]
    parts: list[UploadPart]
    is_complete: bool


class UploadedDataset(AnswerModel):
    """An unpacked upload, and the run that ingests it.

    Attributes:
      run: Name of the run; when it has succeeded, the dataset exists.
      images: Files with the extension of an image.
      bytes: Of all files.
      skipped: Hidden files, and files that other systems leave behind.
    """

    id: str
    name: str
    source: str
    run: str
    files: int
    images: int
    bytes: int
    skipped: int


def check_store_is_shared(store: ObjectStore) -> None:
    """Check that pods can read the store. Raises `Problem` 409."""
    if not store.url.startswith("s3://"):
        raise Problem(409, "the store of this API is a folder, which no cluster sees; open one on S3")


def find_archive(store: ObjectStore, id: str) -> uploads.Archive:
    """Return the description of an announced archive. Raises `Problem` 404."""
    try:
        return uploads.read_archive(store, id)
    except MissingKey as error:
        raise Problem(404, f"there is no upload {id}; it was never begun, was refused, or has expired") from error


def upload_state(context: ApiContext, id: str, archive: uploads.Archive) -> UploadState:
    """Return the numbers of the parts that have arrived, and addresses for the others.

    Raises:
      Problem: 409 where the store has no presigned addresses.
    """
    arrived_parts = uploads.list_parts(context.store, id)
    missing_parts = sorted(set(range(1, archive.num_parts + 1)) - set(arrived_parts))
    return UploadState(
        id=id,
        name=archive.name,
        part_bytes=uploads.PART_BYTES,
        there=arrived_parts,
        parts=[UploadPart(number=number, url=_part_url(context, id, number)) for number in missing_parts],
        is_complete=False,
    )


def _part_url(context: ApiContext, id: str, number: int) -> str:
    url = context.store.presign(keys.incoming_part(id, number), "PUT", context.settings.presign_seconds)
    if url is None:
        raise Problem(409, "the store has no addresses to send parts to; send the archive whole: POST /v1/datasets")
    return url


def check_parts(store: ObjectStore, id: str) -> None:
    """Check that all parts of an archive have arrived; parts of a wrong size are deleted.

    Raises:
      Problem: 404 where no upload was begun, 409 where parts are missing.
    """
    if uploads.find_upload(store, id):
        return
    archive = find_archive(store, id)
    if archive.bytes is None:
        raise Problem(409, f"upload {id} broke off; send the archive again")
    if wrong_parts := uploads.find_wrong_parts(store, id, archive):
        for number in wrong_parts:
            store.delete(keys.incoming_part(id, number))
        numbers = ", ".join(map(str, wrong_parts[:_MAX_NUMBERS])) + (", …" if len(wrong_parts) > _MAX_NUMBERS else "")
        raise Problem(
            409,
            f"parts {numbers} are not there, or have another size; "
            f"GET /v1/datasets/uploads/{id} says where to send them",
        )


async def ingest(context: ApiContext, user: User, id: str) -> UploadedDataset:
    """Unpack an archive whose parts have all arrived, and submit the run that ingests it."""
    limits = ArchiveLimits(total_bytes=context.settings.limits.upload_bytes)
    complete = partial(uploads.complete, context.store, id, limits)
    upload = await to_thread.run_sync(complete, limiter=_UNPACK_LIMITER)
    return await run_in_threadpool(_submit_run, context.cluster, context.store, user, upload)


def _submit_run(cluster: RunsCluster, store: ObjectStore, user: User, upload: uploads.Upload) -> UploadedDataset:
    """Submit the run that ingests an upload; its name follows from the upload's id, so there is only one."""
    source = f"{store.url}/{upload.folder}"
    request = RunRequest(
        metadata=RequestMetadata(name=f"{upload.name}-{upload.id[-8:]}"),
        spec=RunSpec(
            dataset=DatasetSpec(source=source, name=upload.name),
            ingest=IngestSpec(test_ratio=upload.test_ratio, val_ratio=upload.val_ratio),
            until="ingest",
        ),
    )
    submission = prepare(request, user, f"upload {upload.id}")
    submit(submission, cluster, store)
    counts = upload.model_dump(exclude={"user", "folder", "test_ratio", "val_ratio"})
    return UploadedDataset(source=source, run=submission.name, **counts)


def check_media_type(request: Request) -> None:
    """Check that the body is an archive, by its Content-Type. Raises `Problem` 415."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in _ARCHIVE_TYPES:
        raise Problem(415, f"the body is {media_type or 'of no type'!r}; send one of {', '.join(_ARCHIVE_TYPES)}")
