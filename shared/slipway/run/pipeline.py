"""The state machine of a run: the only place that knows the order of the stages.

It is pure, so a laptop's runner and a cluster's controller are driven by the same function: each looks what is there,
asks what to do next, does it, and looks again. Nothing is remembered between two looks.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from slipway.run.names import Stage
from slipway.run.spec import RunSpec


class Phase(StrEnum):
    """How a stage's unit is seen: a Job in a cluster, processes on a laptop.

    A queued unit waits for someone else's word, such as Kueue's; a suspended one waits for ours.
    """

    ABSENT = "absent"
    QUEUED = "queued"
    RUNNING = "running"
    SUSPENDED = "suspended"
    DONE = "done"
    FAILED = "failed"


class State(StrEnum):
    """How a run is seen by its user."""

    PENDING = "PENDING"
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SUSPENDED = "SUSPENDED"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELING = "CANCELING"
    CANCELED = "CANCELED"

    @property
    def is_final(self) -> bool:
        return self in (State.SUCCEEDED, State.FAILED, State.CANCELED)


@dataclass(frozen=True)
class Unit:
    """One stage as it was seen.

    Attributes:
      attempt: Which attempt this is, from 1; 0 while absent.
      reason: Why it failed.
    """

    phase: Phase
    attempt: int = 0
    reason: str = ""


ABSENT = Unit(Phase.ABSENT)


@dataclass(frozen=True)
class Observed:
    """Everything that is there. A stage that is not named is absent.

    Attributes:
      concluded: The final state that was recorded, if any; whoever starts a later attempt clears it first.
    """

    units: Mapping[Stage, Unit] = field(default_factory=dict)
    concluded: State | None = None

    def unit(self, stage: Stage) -> Unit:
        return self.units.get(stage, ABSENT)


@dataclass(frozen=True)
class Start:
    stage: Stage
    attempt: int


@dataclass(frozen=True)
class Stop:
    """End the stage's processes within their grace period."""

    stage: Stage


@dataclass(frozen=True)
class Suspend:
    """End the stage's processes, but keep its unit to resume."""

    stage: Stage


@dataclass(frozen=True)
class Resume:
    stage: Stage


@dataclass(frozen=True)
class Conclude:
    """Record the run's final state, before anything may expire."""

    state: State
    stage: Stage | None = None
    reason: str = ""


Action = Start | Stop | Suspend | Resume | Conclude


def next_actions(spec: RunSpec, observed: Observed) -> list[Action]:
    """Say what is to be done now; an empty list means: wait, or nothing is left.

    A failed stage is started again only when the user asks for a higher attempt, and what ended otherwise stays ended.
    Deadlines are the stages' own, so no clock is needed here.
    """
    if observed.concluded in (State.SUCCEEDED, State.CANCELED):
        return []
    current = _current(spec, observed)
    if current is None:
        return [Conclude(State.SUCCEEDED)]
    unit = observed.unit(current)
    if _has_failed(spec, unit) and (observed.concluded or not spec.cancel):
        return [] if observed.concluded else [Conclude(State.FAILED, current, unit.reason)]
    return _cancel(spec, observed) if spec.cancel else _proceed(spec, current, unit)


def state(spec: RunSpec, observed: Observed) -> State:
    """Say in one word how the run stands."""
    if observed.concluded in (State.SUCCEEDED, State.CANCELED):
        return observed.concluded
    current = _current(spec, observed)
    if current is None:
        return State.RUNNING  # until its success is recorded
    if _has_failed(spec, observed.unit(current)) and (observed.concluded or not spec.cancel):
        return State.FAILED
    if spec.cancel or spec.suspend:
        return State.CANCELING if spec.cancel else State.SUSPENDED
    is_untouched = all(observed.unit(stage).phase is Phase.ABSENT for stage in spec.stages)
    if observed.unit(current).phase is Phase.QUEUED:
        return State.QUEUED
    return State.PENDING if is_untouched else State.RUNNING


def _cancel(spec: RunSpec, observed: Observed) -> list[Action]:
    live = [s for s in spec.stages if observed.unit(s).phase in (Phase.QUEUED, Phase.RUNNING, Phase.SUSPENDED)]
    return [Stop(stage) for stage in live] or [Conclude(State.CANCELED)]


def _proceed(spec: RunSpec, current: Stage, unit: Unit) -> list[Action]:
    match unit.phase:
        case Phase.QUEUED | Phase.RUNNING:
            return [Suspend(current)] if spec.suspend else []
        case Phase.SUSPENDED:
            return [] if spec.suspend else [Resume(current)]
        case _:
            return [] if spec.suspend else [Start(current, spec.attempt)]


def _current(spec: RunSpec, observed: Observed) -> Stage | None:
    """Return the first stage that is not done."""
    return next((s for s in spec.stages if observed.unit(s).phase is not Phase.DONE), None)


def _has_failed(spec: RunSpec, unit: Unit) -> bool:
    """Say whether the newest attempt that the user asked for has failed."""
    return unit.phase is Phase.FAILED and unit.attempt >= spec.attempt
