"""Routes of the server."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response, Security
from fastapi.security import HTTPAuthorizationCredentials
from starlette.requests import ClientDisconnect

from slipway.http.auth import BEARER, authenticate
from slipway.http.multipart import field_content
from slipway.http.parameters import RunName
from slipway.http.problems import Problem, answers
from slipway.http.tokens import User

from services.detector.serving.context import ContextDep, context_of
from services.detector.serving.model_loader import find_export, list_exported_runs
from services.detector.serving.predict import PredictionRequest, choose_media_type, predict
from services.detector.serving.schemas import EXAMPLE, Health, ModelAnswer, ModelList, Prediction

router = APIRouter()

_FILE = {"schema": {"type": "string", "format": "binary"}}
_FORM = {"schema": {"type": "object", "required": ["image"], "properties": {"image": _FILE["schema"]}}}
_CONTENT = {"image/*": _FILE, "application/octet-stream": _FILE, "multipart/form-data": _FORM}
_THRESHOLD_HELP = "Of every class. By default, the run's own, or the measured threshold of each class."
_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/json": {"example": EXAMPLE}, "image/jpeg": _FILE, "image/png": _FILE}}
}


async def _viewer(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)]
) -> User:
    return await authenticate(request, context_of(request).tokens, credentials.credentials if credentials else None)


Viewer = Annotated[User, Depends(_viewer)]  # the lowest role, so every user with a token


@router.get("/v1/models", tags=["models"], response_model_exclude_none=True, responses=answers(401, 422, 429, 503))
def list_models(
    _: Viewer,
    context: ContextDep,
    limit: Annotated[int, Query(ge=1, le=500, description="Number of runs to check for an export.")] = 100,
    page: Annotated[str, Query(max_length=100, description="The `next` of the previous page.")] = "",
) -> ModelList:
    """List the runs that have an export; a page may have fewer than `limit` and still a `next`."""
    runs, next_page = list_exported_runs(context.store, page, limit)
    return ModelList(items=runs, next=next_page)


@router.get(
    "/v1/models/{run}",
    tags=["models"],
    response_model_exclude_none=True,
    responses=answers(401, 404, 422, 429, 500, 503),
)
async def get_model(_: Viewer, context: ContextDep, run: RunName) -> ModelAnswer:
    """Describe the model of a run, without loading it."""
    export = await asyncio.to_thread(find_export, context.store, run)
    manifest = export.manifest
    return ModelAnswer(
        run=run,
        digest=export.digest,
        preset=manifest.preset,
        step=manifest.step,
        classes=list(manifest.labels),
        image_size=manifest.image_size,
        score_threshold=export.thresholds.overall,
        class_score_thresholds=dict(export.thresholds.by_label),
        loaded_at=context.models.loaded_at(export),
    )


@router.post(
    "/v1/models/{run}:predict",
    tags=["models"],
    response_model=Prediction,
    responses=_ANSWER | answers(400, 401, 404, 406, 408, 413, 415, 422, 429, 500, 503),
    openapi_extra={"requestBody": {"required": True, "content": _CONTENT}},
)
async def predict_image(
    request: Request,
    _: Viewer,
    run: RunName,
    score_threshold: Annotated[
        float | None, Query(alias="scoreThreshold", ge=0, le=1, description=_THRESHOLD_HELP)
    ] = None,
    max_detections: Annotated[int, Query(alias="maxDetections", ge=1, le=1000)] = 100,
    accept: Annotated[str, Header(max_length=1024)] = "*/*",
) -> Any:
    """Detect in one image; answer boxes in pixels, best first, or the drawn image, if `Accept` prefers an image."""
    context, media_type = context_of(request), choose_media_type(accept)
    limits = context.settings.limits
    prediction_request = PredictionRequest(media_type, score_threshold, max_detections, limits.pixels)
    with context.admission.admit():
        model = await context.models.get(run)
        content = await _read_image(request, limits.body_seconds)
        answer = await context.admission.run(lambda: predict(model, content, prediction_request, context.metrics))
    return Response(answer, media_type=media_type) if isinstance(answer, bytes) else answer


@router.get("/healthz", tags=["health"])
async def healthz() -> Health:
    """Check that the process answers."""
    return Health()


@router.get("/readyz", tags=["health"], responses=answers(503))
def readyz(context: ContextDep) -> Health:
    """Check that the store answers, and that the models of the settings are loaded."""
    context.readiness.check()
    return Health()


async def _read_image(request: Request, seconds: float) -> bytes:
    """Read the image from the body. Raises `Problem`."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        async with asyncio.timeout(seconds):
            if content_type == "multipart/form-data":
                return b"".join([chunk async for chunk in field_content(request, "image")])
            if content_type.startswith("image/") or content_type == "application/octet-stream":
                return await request.body()
    except TimeoutError as error:
        raise Problem(408, f"the body was not there after {seconds} s; send a smaller image") from error
    except ClientDisconnect as error:
        raise Problem(400, "the client hung up before its image was here") from error
    remedy = "send the image with its type, such as image/jpeg, or as the field image of multipart/form-data"
    raise Problem(415, f"Content-Type is {content_type!r}; {remedy}")
