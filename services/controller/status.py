"""The status of a TrainingRun, built from an observation of the run."""

import re
from collections.abc import Sequence
from typing import Literal

from slipway import keys
from slipway.artifacts.dataset import IngestResult
from slipway.artifacts.evaluation import BestCheckpoint
from slipway.artifacts.json_io import read_document, read_last_line, read_optional
from slipway.artifacts.outcome import BestSoFar, Condition, RunStatus, StageStatus
from slipway.artifacts.training import ProgressLine
from slipway.errors import MissingKey
from slipway.run.names import Stage
from slipway.run.pipeline import Conclude, Observation, Phase, State, state
from slipway.run.plan import Plan
from slipway.store.interface import ObjectStore

from services.controller.job_state import attempt_of, ended_at, waiting_reason
from services.controller.observed_run import ObservedRun

_STRIDE = 0.05  # share of a training's steps
_STEPS = re.compile(r"(?P<step>\d+)/(?P<total>\d+) steps")


def build_status(
    observed_run: ObservedRun, conclusion: Conclude | None, store: ObjectStore, now: str, refusal: str | None
) -> RunStatus:
    """Return the status that follows from an observation.

    Args:
      conclusion: The end of the run, if it has just ended.
      refusal: The API server's reason for not accepting a Job.
    """
    status, reason = observed_run.status, refusal or waiting_reason(observed_run.pods)
    run_state = _state(observed_run, reason)
    progress = _progress(observed_run, store)
    if conclusion:
        run_state, reason, progress = conclusion.state, conclusion.reason, None
    return status.model_copy(
        update={
            "state": run_state,
            "stage": observed_run.current_stage,
            "progress": progress,
            "attempt": observed_run.spec.attempt,
            "reason": reason or None,
            "stages": _stages(observed_run, now),
            "best": status.best if _is_unchanged(observed_run, progress) else _best(observed_run, store),
            "artifacts": {**status.artifacts, **_artifacts(observed_run, store)},
            "finished_at": now if conclusion else None,
            "conditions": conditions(run_state, reason, status.conditions, now),
        }
    )


def waiting_status(status: RunStatus, reason: str, now: str) -> RunStatus:
    """Return the status of a run that waits to begin."""
    claims = conditions(State.PENDING, reason, status.conditions, now)
    return status.model_copy(update={"reason": reason, "conditions": claims})


def refused_status(status: RunStatus, attempt: int, reason: str, now: str) -> RunStatus:
    """Return the status of a run that cannot begin."""
    claims = conditions(State.FAILED, reason, status.conditions, now)
    fields = {"state": State.FAILED, "attempt": attempt, "reason": reason, "finished_at": now, "conditions": claims}
    return status.model_copy(update=fields)


def conditions(run_state: State, reason: str | None, old_conditions: Sequence[Condition], now: str) -> list[Condition]:
    """Return the state as conditions; a condition whose status has not changed keeps its transition time."""
    transition_times = {(c.type, c.status): c.last_transition_time for c in old_conditions}
    claims: dict[str, Literal["True", "False", "Unknown"]] = {
        "Running": "True" if run_state is State.RUNNING else "False",
        "Finished": "True" if run_state.is_final else "False",
        "Succeeded": ("True" if run_state is State.SUCCEEDED else "False") if run_state.is_final else "Unknown",
    }
    return [
        Condition(
            type=kind,
            status=claim,
            reason=run_state.capitalize(),
            message=reason or "",
            last_transition_time=transition_times.get((kind, claim), now),
        )
        for kind, claim in claims.items()
    ]


def _state(observed_run: ObservedRun, reason: str | None) -> State:
    """Return the state of the run; while all of its pods wait for the reason, it is not running."""
    run_state = state(observed_run.spec, Observation(observed_run.units))
    waits = run_state is State.RUNNING and reason and not any(pod.is_running for pod in observed_run.pods)
    return State.PENDING if waits else run_state


def _stages(observed_run: ObservedRun, now: str) -> dict[str, StageStatus]:
    units = observed_run.units.items()
    return {stage: _stage(observed_run, stage, now) for stage, unit in units if unit.phase is not Phase.ABSENT}


def _stage(observed_run: ObservedRun, stage: Stage, now: str) -> StageStatus:
    unit, job, status = observed_run.unit(stage), observed_run.jobs.get(stage), observed_run.status.stages.get(stage)
    if status and status.phase is Phase.DONE:
        return status
    if job is None:  # done before this object was created, or expired
        return status or StageStatus(phase=unit.phase, attempt=unit.attempt)
    is_over = unit.phase in (Phase.DONE, Phase.FAILED)
    return StageStatus(
        phase=unit.phase,
        attempt=attempt_of(job),
        job=job.name,
        started_at=job.status.start_time,
        finished_at=(ended_at(job) or now) if is_over else None,
        reason=unit.reason or None,
    )


def _progress(observed_run: ObservedRun, store: ObjectStore) -> str | None:
    stage = observed_run.current_stage
    if stage is None or observed_run.unit(stage).phase is Phase.ABSENT:
        return None
    if stage == "preprocess" and stage in observed_run.jobs:
        return f"{observed_run.jobs[stage].status.succeeded}/{observed_run.spec.preprocess.workers} parts"
    if stage == "train":
        return _steps(observed_run, store)
    return None


def _steps(observed_run: ObservedRun, store: ObjectStore) -> str | None:
    """Return the training's progress, rounded to strides so that the status is written some twenty times in all."""
    old_progress = _STEPS.fullmatch(observed_run.status.progress or "")
    line = read_last_line(store, keys.progress(observed_run.name), ProgressLine)
    if line is None:
        return None
    if old_progress and abs(line.step - int(old_progress["step"])) < int(old_progress["total"]) * _STRIDE:
        return old_progress.string
    total = old_progress["total"] if old_progress else _total_steps(observed_run.name, store)
    return f"{line.step}/{total} steps" if total else None


def _total_steps(run: str, store: ObjectStore) -> int | None:
    key = keys.plan(run)
    try:
        return Plan.parse(store.read(key), key).steps
    except MissingKey:
        return None


def _is_unchanged(observed_run: ObservedRun, progress: str | None) -> bool:
    """Check whether the training has made no progress, so that its best checkpoint need not be read either."""
    return progress is not None and observed_run.current_stage == "train" and progress == observed_run.status.progress


def _best(observed_run: ObservedRun, store: ObjectStore) -> BestSoFar | None:
    status = observed_run.status.stages.get("train")
    if observed_run.unit("train").phase is Phase.ABSENT or (status and status.phase is Phase.DONE):
        return observed_run.status.best
    best = read_optional(store, keys.best(observed_run.name), BestCheckpoint)
    if best is None:
        return observed_run.status.best
    ap, ap50 = best.metrics.ap, best.metrics.ap50
    return BestSoFar(step=best.step, AP=round(ap, 4), AP50=round(ap50, 4))  # readable for people


def _artifacts(observed_run: ObservedRun, store: ObjectStore) -> dict[str, str]:
    """Return the keys of the artifacts of each stage that is done."""
    status_stages = observed_run.status.stages
    artifacts: dict[str, str] = {}
    for stage, unit in observed_run.units.items():
        if unit.phase is not Phase.DONE or (stage in status_stages and status_stages[stage].phase is Phase.DONE):
            continue
        match stage:
            case "ingest":
                artifacts["dataset"] = read_document(store, keys.result(observed_run.name, stage), IngestResult).dataset
            case "train":
                artifacts["checkpoint"] = keys.best_checkpoint(observed_run.name)
            case "export":
                artifacts["export"] = keys.stage(observed_run.name, stage)
            case "detect":
                artifacts["report"] = keys.report(observed_run.name)
    return artifacts
