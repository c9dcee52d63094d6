"""What the controller remembers of a run: the status of its object, and `record.json` in the store."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from slipway.run.pipeline import Phase, State


class _Model(BaseModel):
    # Fields that a newer controller wrote are passed over, so that going back one version is possible.
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)


class StageStatus(_Model):
    """How one stage stands; times are RFC 3339, in UTC.

    Attributes:
      phase: queued, running, suspended, done or failed.
      attempt: Which attempt this is, from 1.
      job: Name of its Job.
      started_at: When the Job's first pod was made.
      finished_at: When the Job ended.
      reason: Why it failed.
    """

    phase: Phase
    attempt: int = 0
    job: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    reason: str | None = None


class Condition(_Model):
    """One claim about the run, as `kubectl wait --for=condition=…` reads it."""

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str = ""
    last_transition_time: str


class Best(_Model):
    """The best checkpoint so far, and what it was measured to be."""

    step: int
    ap: float = Field(alias="AP")
    ap50: float = Field(alias="AP50")


class Status(_Model):
    """How a run stands.

    Attributes:
      stage: The first stage that is not done.
      progress: How far that stage is.
      attempt: The newest attempt that was begun.
      reason: Why the run failed, or what it waits for.
      images: Image of each kind, as they were when the run began; its later stages use the same.
      blueprints: Digest of the blueprints, likewise; they are in the store under it.
      artifacts: Keys in the store.
      settled: The attempt whose end is written down everywhere, so that nothing is left to be done.
    """

    state: State = State.PENDING
    stage: str | None = None
    progress: str | None = None
    attempt: int = 1
    reason: str | None = None
    images: dict[str, str] = Field(default_factory=dict)
    blueprints: str | None = None
    stages: dict[str, StageStatus] = Field(default_factory=dict)
    best: Best | None = None
    artifacts: dict[str, str] = Field(default_factory=dict)
    started_at: str | None = None
    finished_at: str | None = None
    conditions: list[Condition] = Field(default_factory=list)
    settled: int = 0

    @property
    def is_final(self) -> bool:
        return self.state.is_final

    def dump(self) -> dict[str, Any]:
        """Return what the object's `status` holds."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)
