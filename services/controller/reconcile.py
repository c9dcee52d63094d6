"""One look at a run, and what follows from it.

Whatever is remembered is in the cluster and the store: the function can be killed between any two of its calls, or run
twice at once, and the next look carries on. A Job's name follows from the run, so none is made twice; a status replaces
only the one that was read; an end is written to the store, then to the status, and only then may Jobs go.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from pydantic import ValidationError

from slipway import keys
from slipway.errors import ClusterRefused, MissingKey, SpecError
from slipway.kube.names import QUEUE_LABEL
from slipway.kube.objects import KubernetesObject
from slipway.models import explain
from slipway.run.names import Stage
from slipway.run.pipeline import (
    Action,
    Conclude,
    Observation,
    Phase,
    Resume,
    Start,
    State,
    Stop,
    Suspend,
    Unit,
    next_actions,
)
from slipway.run.run_file import begin_run
from slipway.run.spec import Metadata, RunSpec, TrainingRun
from slipway.store.interface import ObjectStore

from services.controller import job_state as observe
from services.controller import manifests as blueprint
from services.controller import metrics
from services.controller.kube.client import Cluster
from services.controller.manifests import Owner, Work
from services.controller.settings import Settings, check_request
from services.controller.status import Status
from services.controller.status_writer import Look, conditions, described, refused


@dataclass(frozen=True)
class Desk:
    """What the controller works with.

    Attributes:
      clock: Returns the time as RFC 3339, in UTC.
    """

    cluster: Cluster
    store: ObjectStore
    settings: Settings
    clock: Callable[[], str]


def reconcile(name: str, desk: Desk) -> bool:
    """Look at a run once, and do what is to be done now; say whether the next look has something to do already.

    Raises:
      SlipwayError: The cluster or the store does not answer, refuses, or was changed meanwhile: look again later.
    """
    jobs = desk.cluster.jobs(name)  # before `confirm`: a Job that has expired since was noted in the status before
    found = desk.cluster.run(name)
    if found is None or "deletionTimestamp" in found["metadata"]:
        return False
    uid, status = found["metadata"]["uid"], Status.model_validate(found.get("status", {}))
    own = [job for job in jobs if any(o["uid"] == uid for o in job["metadata"].get("ownerReferences", []))]
    attempt = found["spec"].get("attempt", 1)
    if status.is_final and not (status.state is State.FAILED and status.attempt < attempt):
        _settle(found, status, own, desk)
        return False
    try:
        run = _parse(found)
        if not status.images:
            desk.cluster.confirm(found)
            if reason := _is_taken(jobs, name, desk):
                _wait(found, status, reason, desk)
                return False
            _write(found, _admit(run, found, status, desk), desk)  # the next look begins the first stage
            return True
    except SpecError as error:
        _write_status(found, refused(status, attempt, str(error), desk.clock()), desk)
        return True
    return _advance(run.spec, found, _look(run.spec, found, status, own, desk), desk)


def _parse(found: KubernetesObject) -> TrainingRun:
    try:
        spec = RunSpec.model_validate(found["spec"])
        return TrainingRun(metadata=Metadata(name=found["metadata"]["name"]), spec=spec)
    except ValidationError as error:
        raise SpecError(explain(error)) from error


def _is_taken(jobs: list[KubernetesObject], name: str, desk: Desk) -> str:
    """Say what of a deleted run of this name may still write where this one would; it has no Job of its own yet."""
    left = [job["metadata"]["name"] for job in jobs if observe.ended_at(job) is None] or desk.cluster.live_pods(name)
    return f"waits for the end of an earlier run of this name: {', '.join(left)}" if left else ""


def _wait(found: KubernetesObject, status: Status, reason: str, desk: Desk) -> None:
    told = conditions(State.PENDING, reason, status.conditions, desk.clock())
    waiting = status.model_copy(update={"reason": reason, "conditions": told})
    if waiting != status:
        _write_status(found, waiting, desk)


def _admit(run: TrainingRun, found: KubernetesObject, status: Status, desk: Desk) -> Status:
    """Begin the run in the store, and note what all of its stages will use.

    Raises:
      SpecError: It asks for what cannot be had, or its name belongs to another run.
    """
    check_request(run.spec, desk.settings)
    begin_run(run, desk.store)
    text = blueprint.blueprints().encode()
    digest = hashlib.sha256(text).hexdigest()
    desk.store.write(keys.blueprints(digest), text)
    desk.store.write(keys.index(found["metadata"]["creationTimestamp"], run.metadata.name), b"{}\n")
    return status.model_copy(
        update={
            "state": State.PENDING,
            "attempt": run.spec.attempt,
            "images": desk.settings.images.model_dump(),
            "blueprints": digest,
            "started_at": desk.clock(),
            "reason": None,
        }
    )


def _look(spec: RunSpec, found: KubernetesObject, status: Status, own: list[KubernetesObject], desk: Desk) -> Look:
    """See how each stage stands, up to the first that is not done."""
    name, newest = found["metadata"]["name"], observe.newest(own)
    units: dict[Stage, Unit] = {}
    pods: list[KubernetesObject] = []
    for stage in spec.stages:
        job, known = newest.get(stage), status.stages.get(stage)
        if (known and known.phase is Phase.DONE) or desk.store.size(keys.result(name, stage)) is not None:
            units[stage] = Unit(Phase.DONE, known.attempt if known else spec.attempt)
            continue
        if job is not None:
            pods = desk.cluster.pods(job["metadata"]["name"], latest=observe.phase(job) is Phase.FAILED)
            units[stage] = _unit(job, pods)
        elif known and known.phase is Phase.FAILED:
            units[stage] = Unit(Phase.FAILED, known.attempt, known.reason or "")
        break
    return Look(name, spec, status, units, newest, pods)


def _unit(job: KubernetesObject, pods: list[KubernetesObject]) -> Unit:
    attempt = observe.attempt(job)
    match observe.phase(job):
        case Phase.FAILED:
            return Unit(Phase.FAILED, attempt, observe.failure(job, pods)[1])
        case Phase.DONE:
            return Unit(Phase.FAILED, attempt, "it ended well but wrote no result (a bug in slipway)")
        case phase:
            return Unit(phase, attempt)


def _advance(spec: RunSpec, found: KubernetesObject, look: Look, desk: Desk) -> bool:
    """Do what the state machine says, and write down how the run stands; say whether it has ended."""
    actions = next_actions(spec, Observation(look.units))
    if actions:
        desk.cluster.confirm(found)
    refusal = None
    try:
        for action in actions:
            _act(action, look, found, desk)
    except ClusterRefused as error:  # a quota that is used up, say: it is tried again at the next look
        refusal = str(error)
    _note(look, desk)
    ended = next((action for action in actions if isinstance(action, Conclude)), None)
    if ended and ended.stage:
        _record_failure(ended.stage, look, ended.reason, desk)
    status = described(look, ended, desk.store, desk.clock(), refusal)
    if status != look.status:
        _write(found, status, desk)
        _count(look, status)
    return status.is_final


def _count(look: Look, status: Status) -> None:
    """Count the stages that this look saw end: the status that says so is written once."""
    for stage, stood in status.stages.items():
        before = look.status.stages.get(stage)
        if stood == before or stood.phase not in (Phase.DONE, Phase.FAILED) or stood.job is None:
            continue
        if before and (before.phase, before.attempt) == (stood.phase, stood.attempt):
            continue
        job = look.jobs[cast(Stage, stage)]
        word = observe.failure_word(job, look.pods) if stood.phase is Phase.FAILED else ""
        metrics.stage_ended(stage, stood, word)


def _act(action: Action, look: Look, found: KubernetesObject, desk: Desk) -> None:
    match action:
        case Start(stage, attempt):
            owner = Owner(look.name, found["metadata"]["uid"])
            work = Work(look.name, look.spec, stage, attempt, owner)
            text = desk.store.read(keys.blueprints(str(look.status.blueprints))).decode()
            if meeting := blueprint.service(work, text):
                desk.cluster.create(meeting)
            desk.cluster.create(blueprint.job(work, desk.settings, text, look.status.images))
        case Stop(stage):
            desk.cluster.delete_job(look.jobs[stage]["metadata"]["name"])
        case Suspend(stage):
            job = look.jobs[stage]["metadata"]
            if QUEUE_LABEL in job["labels"]:  # Kueue would start it again; a new one waits its turn in the queue
                desk.cluster.delete_job(job["name"])
            else:
                desk.cluster.patch_job(job["name"], {"suspend": True})
        case Resume(stage):
            desk.cluster.patch_job(look.jobs[stage]["metadata"]["name"], {"suspend": False})


def _note(look: Look, desk: Desk) -> None:
    """Add what killed pods could not say themselves to the stage's logs, each once."""
    stage = look.current
    if stage is None or stage not in look.jobs:
        return
    lines = observe.killed(look.jobs[stage], look.pods)
    key = keys.log(look.name, stage, observe.attempt(look.jobs[stage]), "controller", 0)
    if not lines:
        return
    try:
        there = desk.store.read(key).decode().splitlines()
    except MissingKey:
        there = []
    if new := [line for line in lines if line not in there]:
        desk.store.write(key, "".join(f"{line}\n" for line in [*there, *new]).encode())


def _record_failure(stage: Stage, look: Look, reason: str, desk: Desk) -> None:
    job = look.jobs.get(stage)
    code = observe.failure(job, look.pods)[0] if job else 1
    failed = {"attempt": look.units[stage].attempt, "code": code, "reason": reason}
    desk.store.write(keys.failure(look.name, stage), json.dumps(failed).encode() + b"\n")


def _write(found: KubernetesObject, status: Status, desk: Desk) -> None:
    """Write the record, then the status: what a status says has been recorded."""
    metadata = found["metadata"]
    record = {"name": metadata["name"], "uid": metadata["uid"], **status.dump()}
    desk.store.write(keys.record(metadata["name"]), json.dumps(record, indent=1).encode() + b"\n")
    _write_status(found, status, desk)


def _write_status(found: KubernetesObject, status: Status, desk: Desk) -> None:
    desk.cluster.write_status(found | {"status": status.dump()})


def _settle(found: KubernetesObject, status: Status, own: list[KubernetesObject], desk: Desk) -> None:
    """Let the Jobs of a run that has ended expire, now that its end is written down."""
    is_over = True
    for job in own:
        name, has_ended = job["metadata"]["name"], observe.ended_at(job) is not None
        if has_ended and "ttlSecondsAfterFinished" not in job["spec"]:
            desk.cluster.patch_job(name, {"ttlSecondsAfterFinished": desk.settings.keep_jobs})
        if not has_ended and status.state is State.CANCELED:
            desk.cluster.delete_job(name)
        is_over = is_over and has_ended
    if is_over and status.settled != status.attempt:
        _write_status(found, status.model_copy(update={"settled": status.attempt}), desk)
