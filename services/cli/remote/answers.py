"""An installation's answers, with the fields that the command reads; others are ignored."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import Field, ModelWrapValidatorHandler, PrivateAttr, ValidationError, model_validator

from slipway.errors import EXIT_BUG
from slipway.models import AnswerModel, explain
from slipway.run.names import STAGES
from slipway.run.pipeline import State

from services.cli.remote.errors import ApiRefused

A = TypeVar("A", bound="Answer")


class Answer(AnswerModel):
    """An answer, or a part of one; null counts as absent."""

    _json: Any = PrivateAttr(default=None)

    @model_validator(mode="wrap")
    @classmethod
    def _keep_json(cls, content: Any, validate: ModelWrapValidatorHandler[A]) -> A:
        is_object = isinstance(content, dict)
        answer = validate({k: v for k, v in content.items() if v is not None} if is_object else content)
        answer._json = content if is_object else answer._json
        return answer

    @property
    def json_content(self) -> Any:
        """The JSON as it was received, for `--json`."""
        return self._json


class BestScore(Answer):
    """The best checkpoint so far."""

    step: int
    ap: float = Field(alias="AP")
    ap50: float = Field(alias="AP50")

    def __str__(self) -> str:
        return f"AP50 {self.ap50:.3f}, AP {self.ap:.3f}, step {self.step}"


class StageAnswer(Answer):
    """One stage of a run; times are RFC 3339."""

    phase: str = ""
    attempt: int | None = None
    started_at: str | None = None
    finished_at: str | None = None
    reason: str | None = None


class StatusAnswer(Answer):
    """The status of a run.

    Attributes:
      stage: The first stage that is not done.
      progress: Progress of that stage, such as `10/30 steps`.
    """

    state: str = State.PENDING.value
    stage: str | None = None
    progress: str = ""
    reason: str = ""
    best: BestScore | None = None
    stages: Mapping[str, StageAnswer] = {}


class RunMetadata(Answer):
    name: str
    created_at: str | None = None


class DatasetAnswer(Answer):
    """The dataset of a run: a source with a name, or a reference."""

    source: str | None = None
    ref: str | None = None
    name: str | None = None

    def __str__(self) -> str:
        return (self.ref or self.name or self.source or "").partition("@")[0]


class SpecAnswer(Answer):
    dataset: DatasetAnswer = DatasetAnswer()
    attempt: int = 1


class Run(Answer):
    """A run of an installation. One that the controller has not seen yet has no status."""

    metadata: RunMetadata
    spec: SpecAnswer = SpecAnswer()
    status: StatusAnswer = StatusAnswer()

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def state(self) -> str:
        return self.status.state

    @property
    def is_final(self) -> bool:
        return self.state in (State.SUCCEEDED, State.FAILED, State.CANCELED)

    @property
    def stages(self) -> dict[str, StageAnswer]:
        """The stages in their order; the cluster sorts them alphabetically."""
        return {stage: self.status.stages[stage] for stage in STAGES if stage in self.status.stages}


class RunPage(Answer):
    """A page of runs; `next` is None on the last one."""

    items: tuple[Run, ...]
    next: str | None = None


class FailureAnswer(Answer):
    """The exit code of a failed stage."""

    code: int = EXIT_BUG


class EvaluationAnswer(Answer):
    """One checkpoint, measured on one split; -1 where the split has no boxes."""

    step: int
    split: str
    ap: float = Field(alias="AP")
    ap50: float = Field(alias="AP50")


class MetricsAnswer(Answer):
    """The measurements of a run so far."""

    evaluations: tuple[EvaluationAnswer, ...] = ()


class DatasetSplits(Answer):
    """An ingested dataset, of which the names of its splits are read."""

    splits: Mapping[str, Any]


class ArtifactAnswer(Answer):
    """One file of a run, by its path below the run's folder."""

    path: str
    bytes: int


class ArtifactList(Answer):
    items: tuple[ArtifactAnswer, ...]


class UploadPart(Answer):
    """One part of an upload, by number from 1; `url` is absent when the part has arrived."""

    number: int
    url: str = ""


class UploadAnswer(Answer):
    """An upload in parts."""

    id: str
    part_bytes: int
    parts: tuple[UploadPart, ...] = ()

    @property
    def addresses(self) -> dict[int, str]:
        """The addresses of the parts that have not arrived, by number."""
        return {part.number: part.url for part in self.parts if part.url}


class WeightsAnswer(Answer):
    """An initial checkpoint that the installation keeps under a name or an address."""

    address: str
    sha256: str
    bytes: int
    kept_at: str
    user: str = ""


class WeightsList(Answer):
    items: tuple[WeightsAnswer, ...]


class IngestAnswer(Answer):
    """The run that ingests an upload."""

    run: str


def parse_answer(model: type[A], content: Any, source: str) -> A:
    """Check the JSON of an answer.

    Args:
      source: The server, for the error message.

    Raises:
      ApiRefused: A field is missing or has another type; the message names each.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise ApiRefused(
            f"{source}: the answer is not as this version of slipway reads it: {explain(error)}; "
            "install the version that the server has"
        ) from error
