"""`/v1/presets`, `/v1/schemas`, and the health checks."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request

from slipway.http.problems import FieldError, Problem, answers
from slipway.models import AnswerModel
from slipway.run.presets import load_preset, preset_names, preset_text

from services.api.auth.roles import Viewer
from services.api.runs.submit import RunRequest

router = APIRouter()

_SCHEMAS = {"TrainingRun": RunRequest}


class PresetAnswer(AnswerModel):
    """One preset.

    Attributes:
      experiment: Model Garden's name of the configuration that it changes.
      image_size: Side of the square input, pixels.
      gpus: Number of GPUs that it is made for.
      experimental: No figures were measured with it, so it is never chosen unless a run names it.
      evidence: The measurements behind it, and its source.
    """

    name: str
    summary: str
    experiment: str
    image_size: int
    batch_size: int
    learning_rate: float
    gpus: int
    initial_checkpoint: str | None
    experimental: bool
    evidence: str


class PresetList(AnswerModel):
    """Every preset."""

    items: list[PresetAnswer]


class Health(AnswerModel):
    """The process answers; a failed check is answered with a problem instead."""

    status: str = "ok"


@router.get("/v1/presets", tags=["about"], responses=answers(401, 403, 429))
async def list_presets(_: Viewer) -> PresetList:
    """List the presets that `train.preset` may name."""
    return PresetList(items=presets())


@router.get("/v1/schemas/{kind}", tags=["about"], responses=answers(401, 403, 404, 422, 429))
async def get_schema(_: Viewer, kind: Annotated[str, Path(examples=["TrainingRun"])]) -> dict[str, Any]:
    """Get the JSON schema of a body that may be sent."""
    if kind not in _SCHEMAS:
        error = FieldError(parameter="kind", detail=f"there is no kind {kind!r}", valid=sorted(_SCHEMAS))
        raise Problem(404, f"there is no kind {kind!r}; choose one of {', '.join(sorted(_SCHEMAS))}", errors=[error])
    return _SCHEMAS[kind].model_json_schema(by_alias=True)


@router.get("/healthz", tags=["health"])
async def healthz() -> Health:
    """Check that the process runs."""
    return Health()


@router.get("/readyz", tags=["health"], responses=answers(503))
def readyz(request: Request) -> Health:
    """Check that the store and the cluster answer."""
    request.app.state.readiness.check()
    return Health()


def presets() -> list[PresetAnswer]:
    """Return every preset, with the measurements behind it."""
    return [_preset(name) for name in preset_names()]


def _preset(name: str) -> PresetAnswer:
    preset = load_preset(name)
    text = preset_text(name)
    evidence = "\n".join(line.removeprefix("#").strip() for line in text.splitlines() if line.startswith("#"))
    fields = {field: getattr(preset, field) for field in PresetAnswer.model_fields if field != "evidence"}
    return PresetAnswer(**fields, evidence=evidence)
