"""What becomes of an upload: parts to send, an archive to unpack, and a run that ingests what was in it."""

from functools import partial

from anyio import CapacityLimiter, to_thread
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from slipway import keys
from slipway.errors import MissingKey
from slipway.http.problems import Problem
from slipway.http.tokens import User
from slipway.run.spec import DatasetSpec, RunSpec
from slipway.store.interface import ObjectStore

from services.api.context import ApiContext
from services.api.datasets import uploads
from services.api.datasets.unpack import Limits
from services.api.kube.runs import RunsCluster
from services.api.runs.submit import RequestMetadata, RunRequest, asked, submit

_UNPACKED_AT_ONCE = CapacityLimiter(2)  # each holds a file in memory, and some that are being written
_SHOWN = 5


class _Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class UploadPart(_Model):
    """A part that is not there yet.

    Attributes:
      number: From 1.
      url: PUT the part's bytes to it; it needs no token, and is good for a while.
    """

    number: int
    url: str


class UploadState(_Model):
    """How far an upload is.

    Attributes:
      part_bytes: Of every part but the last.
      there: Numbers of the parts that have arrived.
      parts: Those that have not.
      is_complete: It was unpacked.
    """

    id: str
    name: str
    part_bytes: int
    there: list[int]
    parts: list[UploadPart]
    is_complete: bool


class UploadedDataset(_Model):
    """An upload that was unpacked, and the run that ingests it.

    Attributes:
      run: Its name; when it has succeeded, the dataset is there.
      images: Files that are images by their names.
      bytes: Of all files.
      skipped: Hidden files, and what other systems leave behind.
    """

    id: str
    name: str
    source: str
    run: str
    files: int
    images: int
    bytes: int
    skipped: int


def check_is_seen(store: ObjectStore) -> None:
    """See that a run can read what will be stored. Raises `Problem` 409."""
    if not store.url.startswith("s3://"):
        raise Problem(409, "the store of this API is a folder, which no cluster sees; open one on S3")


def announced(store: ObjectStore, id: str) -> uploads.Archive:
    """Return what will be sent. Raises `Problem` 404."""
    try:
        return uploads.announced(store, id)
    except MissingKey as error:
        raise Problem(404, f"there is no upload {id}; it was never begun, was refused, or has expired") from error


def state(context: ApiContext, id: str, archive: uploads.Archive) -> UploadState:
    """Say which parts are there, and where to send the others. Raises `Problem` 409 where no address can be given."""
    there = uploads.parts_there(context.store, id)
    missing = sorted(set(range(1, archive.num_parts + 1)) - set(there))
    parts = [UploadPart(number=number, url=_address(context, id, number)) for number in missing]
    return UploadState(
        id=id, name=archive.name, part_bytes=uploads.PART_BYTES, there=there, parts=parts, is_complete=False
    )


def _address(context: ApiContext, id: str, number: int) -> str:
    url = context.store.presign(keys.incoming_part(id, number), "PUT", context.settings.presign_seconds)
    if url is None:
        raise Problem(409, "the store has no addresses to send parts to; send the archive whole: POST /v1/datasets")
    return url


def check_parts(store: ObjectStore, id: str) -> None:
    """See that an archive is there, whole; a part of another size than it should have is taken for not sent.

    Raises:
      Problem: 404 where none was begun, 409 where parts are missing.
    """
    if uploads.completed(store, id):
        return
    archive = announced(store, id)
    if archive.bytes is None:
        raise Problem(409, f"upload {id} broke off; send the archive again")
    if wrong := uploads.wrong_parts(store, id, archive):
        for number in wrong:
            store.delete(keys.incoming_part(id, number))
        shown = ", ".join(map(str, wrong[:_SHOWN])) + (", …" if len(wrong) > _SHOWN else "")
        raise Problem(
            409,
            f"parts {shown} are not there, or have another size; GET /v1/datasets/uploads/{id} says where to send them",
        )


async def ingested(context: ApiContext, cluster: RunsCluster, user: User, id: str) -> UploadedDataset:
    """Unpack an archive that is there, and make its run."""
    limits = Limits(total_bytes=context.settings.limits.upload_bytes)
    complete = partial(uploads.complete, context.store, id, limits)
    upload = await to_thread.run_sync(complete, limiter=_UNPACKED_AT_ONCE)
    return await run_in_threadpool(_run, context, cluster, user, upload)


def _run(context: ApiContext, cluster: RunsCluster, user: User, upload: uploads.Upload) -> UploadedDataset:
    """Make the run that ingests an upload; its name follows from the upload's id, so there is one."""
    source = f"{context.store.url}/{upload.folder}"
    run = RunRequest(
        metadata=RequestMetadata(name=f"{upload.name}-{upload.id[-8:]}"),
        spec=RunSpec(dataset=DatasetSpec(source=source, name=upload.name), until="ingest"),
    )
    made, _ = submit(asked(run, user, f"upload {upload.id}"), cluster, context.store)
    counted = upload.model_dump(exclude={"user", "folder"})
    return UploadedDataset(source=source, run=made["metadata"]["name"], **counted)
