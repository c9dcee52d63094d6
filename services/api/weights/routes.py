"""`/v1/weights`: send initial checkpoints into an installation, and list them."""

from typing import Annotated

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from slipway.artifacts.weights import KeptWeights
from slipway.http.problems import Problem, answers
from slipway.models import AnswerModel
from slipway.run.names import LONGEST_NAME, NAME_PATTERN
from slipway.weights.stored import list_kept

from services.api.auth.audit import audit
from services.api.auth.roles import Submitter, Viewer
from services.api.context import ContextDep
from services.api.datasets import ingest_upload, uploads
from services.api.weights.receive import keep_upload

router = APIRouter(tags=["weights"], responses=answers(401, 403, 422, 429, 503))

_UNPACK_LIMITER = CapacityLimiter(1)  # each takes up to 4 GiB of the disk


class Weights(AnswerModel):
    """An initial checkpoint of the installation.

    Attributes:
      address: A value of a run's `train.initialCheckpoint`: a name, or the address of an archive.
      sha256: Digest of the checkpoint's files.
      user: Who sent it; absent if a run fetched it.
    """

    address: str
    sha256: str
    bytes: int
    kept_at: str
    user: str | None = None


class WeightsList(AnswerModel):
    """The initial checkpoints that have a name or an address."""

    items: list[Weights]


@router.post(
    "/v1/weights",
    status_code=201,
    responses=answers(400, 409, 413, 415),
    openapi_extra={"requestBody": ingest_upload.ARCHIVE_BODY},
)
async def send_weights(
    request: Request,
    user: Submitter,
    context: ContextDep,
    name: Annotated[str, Query(pattern=f"^{NAME_PATTERN}$", max_length=LONGEST_NAME)],
    address: Annotated[str | None, Query(pattern=r"^https://[^\s@]+$", max_length=500)] = None,
) -> WeightsList:
    """Send a zip or tar.gz of one checkpoint, which runs then find under the name, and under the address."""
    with audit(request, "weights.upload", name) as record:
        ingest_upload.check_store_is_shared(context.store)
        ingest_upload.check_media_type(request)
        id = record.target = uploads.new_id(context.clock())
        archive = uploads.Archive(name=name, bytes=None, user=user.name)
        try:
            await run_in_threadpool(uploads.announce, context.store, id, archive)
            archive = await uploads.receive(context.store, id, archive, request.stream())
            addresses = [name, *([address] if address else [])]
            checkpoints = await to_thread.run_sync(
                keep_upload, context.store, (id, archive), addresses, context.clock(), limiter=_UNPACK_LIMITER
            )
        except ClientDisconnect as error:
            raise Problem(400, "the body ended too early; send it again") from error
        finally:
            await run_in_threadpool(uploads.discard, context.store, id)
        record.target = name
        return WeightsList(items=[_answer(weights) for weights in checkpoints])


@router.get("/v1/weights")
def list_weights(_: Viewer, context: ContextDep) -> WeightsList:
    """List the initial checkpoints that have a name or an address."""
    checkpoints = sorted(list_kept(context.store), key=lambda weights: weights.address)
    return WeightsList(items=[_answer(weights) for weights in checkpoints])


def _answer(weights: KeptWeights) -> Weights:
    fields = weights.model_dump(include={"address", "sha256", "bytes", "kept_at"})
    return Weights(**fields, user=weights.user or None)
