"""What can be asked for, and whether anybody is there to answer."""

from importlib import resources
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from slipway.http.problems import FieldError, Problem, answers
from slipway.run.plan import load_preset, preset_names

from services.api.auth.roles import Viewer
from services.api.runs.submit import RunRequest

router = APIRouter()

_SCHEMAS = {"TrainingRun": RunRequest}


class _Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class PresetAnswer(_Model):
    """One preset.

    Attributes:
      experiment: Model Garden's name of what it changes.
      image_size: Side of the square input, pixels.
      gpus: How many it is made for.
      evidence: What was measured with it, and from where it comes.
    """

    name: str
    summary: str
    experiment: str
    image_size: int
    batch_size: int
    learning_rate: float
    gpus: int
    initial_checkpoint: str | None
    evidence: str


class PresetList(_Model):
    """Every preset."""

    items: list[PresetAnswer]


class Health(_Model):
    """That the process answers; what is wrong is a problem instead."""

    status: str = "ok"


@router.get("/v1/presets", tags=["about"], responses=answers(401, 403, 429))
async def list_presets(_: Viewer) -> PresetList:
    """List what `train.preset` may name."""
    return PresetList(items=presets())


@router.get("/v1/schemas/{kind}", tags=["about"], responses=answers(401, 403, 404, 422, 429))
async def get_schema(_: Viewer, kind: Annotated[str, Path(examples=["TrainingRun"])]) -> dict[str, Any]:
    """Get the JSON schema of what may be sent."""
    if kind not in _SCHEMAS:
        error = FieldError(parameter="kind", detail=f"there is no kind {kind!r}", valid=sorted(_SCHEMAS))
        raise Problem(404, f"there is no kind {kind!r}; choose one of {', '.join(sorted(_SCHEMAS))}", errors=[error])
    return _SCHEMAS[kind].model_json_schema(by_alias=True)


@router.get("/healthz", tags=["health"])
async def healthz() -> Health:
    """Say that the process lives."""
    return Health()


@router.get("/readyz", tags=["health"], responses=answers(503))
def readyz(request: Request) -> Health:
    """Say that the store and the cluster answer."""
    request.app.state.readiness.check()
    return Health()


def presets() -> list[PresetAnswer]:
    """Return every preset, with what was measured."""
    return [_preset(name) for name in preset_names()]


def _preset(name: str) -> PresetAnswer:
    preset = load_preset(name)
    text = (resources.files("slipway.run") / "presets" / f"{name}.yaml").read_text()
    evidence = "\n".join(line.removeprefix("#").strip() for line in text.splitlines() if line.startswith("#"))
    fields = {field: getattr(preset, field) for field in PresetAnswer.model_fields if field != "evidence"}
    return PresetAnswer(**fields, evidence=evidence)
