"""The outcome and the status of stages and runs: results, failures, the controller's record, metric snapshots."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from slipway.models import ArtifactModel, CamelArtifactModel
from slipway.run.pipeline import Phase, State

_MOST_SAMPLES = 400  # a training has about seventy

ShortText = Annotated[str, Field(max_length=80)]


class StageResult(ArtifactModel):
    """The part of a stage's result that all stages share: where the key exists, the stage is done.

    Key: `runs/<run>/<stage>/result.json`. Writer: the stage. Readers: see each stage's own result; command, for the
    duration.

    Attributes:
      duration_sec: Absent from preprocess, whose workers write the same bytes.
    """

    duration_sec: float | None = None


class StageFailure(ArtifactModel):
    """The failure of a stage's newest failed attempt.

    Key: `runs/<run>/<stage>/failure.json`. Writers: command, controller. Readers: command; retention looks for the key.

    Attributes:
      attempt: Number of the attempt, from 1.
      code: The exit code.
    """

    attempt: int
    code: int = 1
    reason: str = ""


class StageStatus(CamelArtifactModel):
    """The status of one stage; times are RFC 3339, in UTC.

    Attributes:
      phase: queued, running, suspended, done or failed.
      attempt: Number of the attempt, from 1.
      job: Name of its Job.
      started_at: Time at which the Job's first pod was created.
      finished_at: Time at which the Job ended.
      reason: Reason of the failure.
    """

    phase: Phase
    attempt: int = 0
    job: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    reason: str | None = None


class Condition(CamelArtifactModel):
    """One claim about the run, as `kubectl wait --for=condition=…` reads it."""

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str = ""
    last_transition_time: str


class BestSoFar(CamelArtifactModel):
    """The best checkpoint so far, and its metrics."""

    step: int
    ap: float = Field(alias="AP")
    ap50: float = Field(alias="AP50")


# Writer: controller. Readers: controller, API, `kubectl`. The docstring is the custom resource's description.
class RunStatus(CamelArtifactModel):
    """The status of a run.

    Attributes:
      stage: The first stage that is not done.
      progress: Progress of that stage.
      attempt: The newest attempt that was started.
      reason: Why the run failed, or what it waits for.
      images: Container image of each kind, as configured when the run began; its later stages use the same.
      blueprints: Digest of the blueprints of Jobs, likewise; they are in the store under it.
      artifacts: Keys in the store.
      settled: The newest attempt whose end is recorded everywhere, so that no work is left.
    """

    state: State = State.PENDING
    stage: str | None = None
    progress: str | None = None
    attempt: int = 1
    reason: str | None = None
    images: Mapping[str, str] = Field(default_factory=dict)
    blueprints: str | None = None
    stages: Mapping[str, StageStatus] = Field(default_factory=dict)
    best: BestSoFar | None = None
    artifacts: Mapping[str, str] = Field(default_factory=dict)
    started_at: str | None = None
    finished_at: str | None = None
    conditions: list[Condition] = Field(default_factory=list)
    settled: int = 0

    @property
    def is_final(self) -> bool:
        return self.state.is_final

    def content(self) -> dict[str, Any]:
        """Return the content of the object's `status`: defaults too, since `kubectl` does not know them."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class RunRecord(RunStatus):
    """The status of a run, which outlives the run's object.

    Key: `runs/<run>/record.json`. Writer: controller. Readers: API, retention.
    """

    name: str = ""
    uid: str = ""

    @classmethod
    def of(cls, name: str, uid: str, status: RunStatus) -> "RunRecord":
        """Build the record of one TrainingRun."""
        return cls.model_validate({"name": name, "uid": uid, **status.content()})

    @property
    def status(self) -> RunStatus:
        """The record without name and uid."""
        return RunStatus.model_validate(self.content())


class MetricSample(ArtifactModel):
    """One sample of a Prometheus metric."""

    model_config = ConfigDict(ser_json_inf_nan="strings")  # JSON itself has no NaN

    name: ShortText
    labels: Annotated[Mapping[ShortText, ShortText], Field(max_length=4)] = {}
    value: float


class MetricSnapshot(ArtifactModel):
    """The latest metrics of one process of a stage.

    Key: `runs/<run>/metrics/<stage>-<index>.json`. Writer: the process, every ten seconds. Reader: controller, which
    trusts a pod less than itself: hence the limits.
    """

    samples: Annotated[tuple[MetricSample, ...], Field(max_length=_MOST_SAMPLES)]

    def encode(self) -> bytes:
        """Return one short line, since it is written often."""
        return self.model_dump_json(exclude_defaults=True).encode() + b"\n"
