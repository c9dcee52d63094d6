"""How a run stands, in the words of its status."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from slipway import keys
from slipway.artifacts.untyped_json import read_json
from slipway.errors import MissingKey
from slipway.kube.objects import KubernetesObject
from slipway.run.names import Stage
from slipway.run.pipeline import Conclude, Observation, Phase, State, Unit, state
from slipway.run.plan import Plan
from slipway.run.spec import RunSpec
from slipway.store.interface import ObjectStore

from services.controller import job_state as observe
from services.controller.status import Best, Condition, StageStatus, Status

_STRIDE = 0.05  # of a training's steps
_STEPS = re.compile(r"(?P<step>\d+)/(?P<total>\d+) steps")


@dataclass(frozen=True)
class Look:
    """Everything that was seen of a run.

    Attributes:
      status: As it was read.
      units: Up to the first stage that is not done.
      jobs: The newest of each stage.
      pods: Of the first stage that is not done.
    """

    name: str
    spec: RunSpec
    status: Status
    units: Mapping[Stage, Unit]
    jobs: Mapping[Stage, KubernetesObject]
    pods: Sequence[KubernetesObject]

    @property
    def current(self) -> Stage | None:
        """The first stage that is not done."""
        return next((s for s in self.spec.stages if self.unit(s).phase is not Phase.DONE), None)

    def unit(self, stage: Stage) -> Unit:
        return Observation(self.units).unit(stage)


def described(look: Look, ended: Conclude | None, store: ObjectStore, now: str, refusal: str | None) -> Status:
    """Return the status that follows from a look.

    Args:
      ended: The run's end, when this look found it.
      refusal: What the cluster said when it would not have a Job.
    """
    status = look.status
    waits = refusal or observe.waits_for(look.pods)
    word = ended.state if ended else _word(look, waits)
    stages = {stage: _stage(look, stage, now) for stage, unit in look.units.items() if unit.phase is not Phase.ABSENT}
    reason = ended.reason if ended else waits
    progress = None if ended else _progress(look, store)
    return status.model_copy(
        update={
            "state": word,
            "stage": look.current,
            "progress": progress,
            "attempt": look.spec.attempt,
            "reason": reason or None,
            "stages": stages,
            "best": status.best if _is_the_same(look, progress) else _best(look, store),
            "artifacts": status.artifacts | _artifacts(look, store),
            "finished_at": now if ended else None,
            "conditions": conditions(word, reason, status.conditions, now),
        }
    )


def refused(status: Status, attempt: int, reason: str, now: str) -> Status:
    """Return the status of a run that cannot begin."""
    changed = {"state": State.FAILED, "attempt": attempt, "reason": reason, "finished_at": now}
    return status.model_copy(update=changed | {"conditions": conditions(State.FAILED, reason, status.conditions, now)})


def conditions(word: State, reason: str | None, earlier: Sequence[Condition], now: str) -> list[Condition]:
    """Say the same as claims; each keeps the time since when it has held."""
    since = {(c.type, c.status): c.last_transition_time for c in earlier}
    claims: dict[str, Literal["True", "False", "Unknown"]] = {
        "Running": "True" if word is State.RUNNING else "False",
        "Finished": "True" if word.is_final else "False",
        "Succeeded": ("True" if word is State.SUCCEEDED else "False") if word.is_final else "Unknown",
    }
    return [
        Condition(
            type=kind,
            status=holds,
            reason=word.capitalize(),
            message=reason or "",
            last_transition_time=since.get((kind, holds), now),
        )
        for kind, holds in claims.items()
    ]


def _word(look: Look, waits: str | None) -> State:
    """Say in one word how the run stands; one whose pods all wait does not run."""
    word = state(look.spec, Observation(look.units))
    has_to_wait = word is State.RUNNING and waits and not any(map(observe.runs, look.pods))
    return State.PENDING if has_to_wait else word


def _stage(look: Look, stage: Stage, now: str) -> StageStatus:
    unit, job, known = look.unit(stage), look.jobs.get(stage), look.status.stages.get(stage)
    if known and known.phase is Phase.DONE:
        return known
    if job is None:  # done before this object was made, or expired
        return known or StageStatus(phase=unit.phase, attempt=unit.attempt)
    has_ended = unit.phase in (Phase.DONE, Phase.FAILED)
    return StageStatus(
        phase=unit.phase,
        attempt=observe.attempt(job),
        job=job["metadata"]["name"],
        started_at=job.get("status", {}).get("startTime"),
        finished_at=(observe.ended_at(job) or now) if has_ended else None,
        reason=unit.reason or None,
    )


def _progress(look: Look, store: ObjectStore) -> str | None:
    stage = look.current
    if stage is None or look.unit(stage).phase is Phase.ABSENT:
        return None
    if stage == "preprocess":
        done = look.jobs[stage].get("status", {}).get("succeeded", 0)
        return f"{done}/{look.spec.preprocess.workers} parts"
    if stage == "train":
        return _steps(look, store)
    return None


def _steps(look: Look, store: ObjectStore) -> str | None:
    """Say how far the training is, in strides: a status is written some twenty times, however long it takes."""
    known = _STEPS.fullmatch(look.status.progress or "")
    try:
        lines = store.read(keys.progress(look.name)).splitlines()
        total = int(known["total"]) if known else Plan.parse(store.read(keys.resolved(look.name))).steps
    except MissingKey:
        return None
    if not lines:
        return None
    step = json.loads(lines[-1])["step"]
    if known and abs(step - int(known["step"])) < total * _STRIDE:
        return known.string
    return f"{step}/{total} steps"


def _is_the_same(look: Look, progress: str | None) -> bool:
    """Say whether the training has not moved, so that its best is not asked for either."""
    return progress is not None and look.current == "train" and progress == look.status.progress


def _best(look: Look, store: ObjectStore) -> Best | None:
    known = look.status.stages.get("train")
    if look.unit("train").phase is Phase.ABSENT or (known and known.phase is Phase.DONE):
        return look.status.best
    try:
        best = read_json(store, keys.best(look.name))
    except MissingKey:
        return look.status.best
    ap, ap50 = (round(best["metrics"][name], 4) for name in ("AP", "AP50"))  # as a person reads them
    return Best(step=best["step"], AP=ap, AP50=ap50)


def _artifacts(look: Look, store: ObjectStore) -> dict[str, str]:
    """Return the keys of what is made, for each stage that is newly done."""
    known = look.status.stages
    done = [
        s for s, u in look.units.items() if u.phase is Phase.DONE and not (s in known and known[s].phase == u.phase)
    ]
    made: dict[str, str] = {}
    for stage in done:
        match stage:
            case "ingest":
                made["dataset"] = read_json(store, keys.result(look.name, stage))["dataset"]
            case "train":
                made["checkpoint"] = keys.best_checkpoint(look.name)
            case "export":
                made["export"] = keys.stage(look.name, stage)
            case "detect":
                made["report"] = keys.report(look.name)
    return made
