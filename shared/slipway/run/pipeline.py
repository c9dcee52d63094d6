"""The state machine of a run: the only place that knows the order of the stages.

It is pure, so a laptop's runner and a cluster's controller are driven by the same function: each observes the stages,
asks for the next actions, takes them, and observes again. Nothing is remembered between two observations.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from slipway.run.names import Stage
from slipway.run.spec import RunSpec


class Phase(StrEnum):
    """The phase of a stage's unit, which is a Job in a cluster and a group of processes on a laptop.

    A queued unit waits until another program, such as Kueue, admits it; a suspended one, until its user resumes it.
    """

    ABSENT = "absent"
    QUEUED = "queued"
    RUNNING = "running"
    SUSPENDED = "suspended"
    DONE = "done"
    FAILED = "failed"


class State(StrEnum):
    """The state of a run as its user sees it."""

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
    """One stage as it was observed.

    Attributes:
      attempt: The number of the attempt, from 1; 0 while absent.
      reason: Why it failed.
    """

    phase: Phase
    attempt: int = 0
    reason: str = ""


ABSENT = Unit(Phase.ABSENT)


@dataclass(frozen=True)
class Observation:
    """The stages of a run at one time. A stage without a unit is absent.

    Attributes:
      final_state: The final state that was recorded, if any; it is cleared before a later attempt is started.
    """

    units: Mapping[Stage, Unit] = field(default_factory=dict)
    final_state: State | None = None

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
    """Record the run's final state, before anything of it may expire."""

    state: State
    stage: Stage | None = None
    reason: str = ""


Action = Start | Stop | Suspend | Resume | Conclude


def next_actions(spec: RunSpec, observation: Observation) -> list[Action]:
    """Return the actions that are due; none when there is something to wait for, or nothing left to do.

    A failed stage is started again only when the user asks for a higher attempt; a run that succeeded or was canceled
    is never started again. Each stage keeps its own deadline, so no clock is needed here.
    """
    if observation.final_state in (State.SUCCEEDED, State.CANCELED):
        return []
    current = _current(spec, observation)
    if current is None:
        return [Conclude(State.SUCCEEDED)]
    unit = observation.unit(current)
    if _has_failed(spec, unit) and (observation.final_state or not spec.cancel):
        return [] if observation.final_state else [Conclude(State.FAILED, current, unit.reason)]
    return _cancel(spec, observation) if spec.cancel else _proceed(spec, current, unit)


def state(spec: RunSpec, observation: Observation) -> State:
    """Return the state of the run."""
    if observation.final_state in (State.SUCCEEDED, State.CANCELED):
        return observation.final_state
    current = _current(spec, observation)
    if current is None:
        return State.RUNNING  # until its success is recorded
    if _has_failed(spec, observation.unit(current)) and (observation.final_state or not spec.cancel):
        return State.FAILED
    if spec.cancel or spec.suspend:
        return State.CANCELING if spec.cancel else State.SUSPENDED
    is_untouched = all(observation.unit(stage).phase is Phase.ABSENT for stage in spec.stages)
    if observation.unit(current).phase is Phase.QUEUED:
        return State.QUEUED
    return State.PENDING if is_untouched else State.RUNNING


def _cancel(spec: RunSpec, observation: Observation) -> list[Action]:
    live = [s for s in spec.stages if observation.unit(s).phase in (Phase.QUEUED, Phase.RUNNING, Phase.SUSPENDED)]
    return [Stop(stage) for stage in live] or [Conclude(State.CANCELED)]


def _proceed(spec: RunSpec, current: Stage, unit: Unit) -> list[Action]:
    match unit.phase:
        case Phase.QUEUED | Phase.RUNNING:
            return [Suspend(current)] if spec.suspend else []
        case Phase.SUSPENDED:
            return [] if spec.suspend else [Resume(current)]
        case _:
            return [] if spec.suspend else [Start(current, spec.attempt)]


def _current(spec: RunSpec, observation: Observation) -> Stage | None:
    """Return the first stage that is not done."""
    return next((s for s in spec.stages if observation.unit(s).phase is not Phase.DONE), None)


def _has_failed(spec: RunSpec, unit: Unit) -> bool:
    """Check whether the newest attempt that the user asked for has failed."""
    return unit.phase is Phase.FAILED and unit.attempt >= spec.attempt
