"""Reconciliation of one run: observe it, decide what to do, do it, write its status.

All state is in the cluster and the store: the function can be killed between any two of its calls, or run twice at the
same time, and the next call continues. A Job's name follows from the run, so none is created twice; a status replaces
only the one that was read; an end is written to the store, then to the status, and only then may Jobs be deleted.
"""

import hashlib
from collections.abc import Iterable, Sequence

from pydantic import ValidationError

from slipway import keys
from slipway.artifacts.outcome import RunStatus
from slipway.errors import ClusterRefused, SpecError
from slipway.kube.names import QUEUE_LABEL
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
    next_actions,
)
from slipway.run.run_file import begin_run
from slipway.run.spec import Metadata, RunSpec, TrainingRun

from services.controller import manifests, metrics
from services.controller.context import ControllerContext
from services.controller.job_state import has_ended, stage_failure_kind
from services.controller.kube.objects import Job, TrainingRunObject
from services.controller.manifests import Owner, StageAttempt
from services.controller.observed_run import ObservedRun, observe
from services.controller.settings import check_request
from services.controller.status import build_status, refused_status, waiting_status
from services.controller.status_writer import log_killed_pods, write_failure, write_record_and_status


def reconcile(name: str, context: ControllerContext) -> bool:
    """Bring one run a step further; return whether there is more to do at once.

    Raises:
      SlipwayError: The cluster or the store does not answer or refuses, or an object has changed: reconcile later.
    """
    jobs = context.cluster.jobs(name)  # before `confirm`: if a Job expires in between, the status already has its end
    run = context.cluster.run(name)
    if run is None or run.is_being_deleted:
        return False
    owned_jobs = [job for job in jobs if job.is_owned_by(run.uid)]
    may_retry = run.status.state is State.FAILED and run.status.attempt < run.attempt
    if run.status.is_final and not may_retry:
        _settle(run, owned_jobs, context)
        return False
    try:
        request = _parse(run)
        if not run.status.images:
            return _begin(run, request, jobs, context)
    except SpecError as error:
        status = refused_status(run.status, run.attempt, str(error), context.clock())
        context.cluster.write_status(run, status)
        return True
    return _advance(observe(run, request.spec, owned_jobs, context), context)


def _parse(run: TrainingRunObject) -> TrainingRun:
    try:
        return TrainingRun(metadata=Metadata(name=run.name), spec=RunSpec.model_validate(run.spec))
    except ValidationError as error:
        raise SpecError(explain(error)) from error


def _begin(run: TrainingRunObject, request: TrainingRun, jobs: Sequence[Job], context: ControllerContext) -> bool:
    """Begin the run in the store, unless it has to wait; the first stage is started by the next call."""
    context.cluster.confirm(run)
    if reason := _earlier_run(jobs, run.name, context):
        status = waiting_status(run.status, reason, context.clock())
        if status != run.status:
            context.cluster.write_status(run, status)
        return False
    write_record_and_status(run, _admit(run, request, context), context)
    return True


def _earlier_run(jobs: Iterable[Job], name: str, context: ControllerContext) -> str:
    """Return the reason to wait: Jobs and pods of a deleted run of this name, which may still write to the same keys.

    The run itself has no Job yet.
    """
    names = [job.name for job in jobs if not has_ended(job)] or context.cluster.live_pods(name)
    return f"waits for the end of an earlier run of this name: {', '.join(names)}" if names else ""


def _admit(run: TrainingRunObject, request: TrainingRun, context: ControllerContext) -> RunStatus:
    """Write the run to the store; return its status, with the images and blueprints for all of its stages.

    Raises:
      SpecError: The installation lacks something that the run requests, or its name belongs to another run.
    """
    check_request(request.spec, context.settings)
    begin_run(request, context.store)
    blueprints = manifests.read_blueprints().encode()
    digest = hashlib.sha256(blueprints).hexdigest()
    context.store.write(keys.blueprints(digest), blueprints)
    context.store.write(keys.index(run.metadata.creation_timestamp or "", run.name), b"{}\n")
    return run.status.model_copy(
        update={
            "state": State.PENDING,
            "attempt": request.spec.attempt,
            "images": context.settings.images.model_dump(),
            "blueprints": digest,
            "started_at": context.clock(),
            "reason": None,
        }
    )


def _advance(observed_run: ObservedRun, context: ControllerContext) -> bool:
    """Do what the state machine decides, and write the status; return whether the run has ended."""
    actions = next_actions(observed_run.spec, Observation(observed_run.units))
    if actions:
        context.cluster.confirm(observed_run.run)
    refusal = None
    try:
        for action in actions:
            _act(action, observed_run, context)
    except ClusterRefused as error:  # such as a quota that is used up; the next call tries again
        refusal = str(error)
    log_killed_pods(observed_run, context)
    conclusion = next((action for action in actions if isinstance(action, Conclude)), None)
    if conclusion and conclusion.stage:
        write_failure(conclusion.stage, observed_run, conclusion.reason, context)
    status = build_status(observed_run, conclusion, context.store, context.clock(), refusal)
    if status != observed_run.status:
        write_record_and_status(observed_run.run, status, context)
        _count_ends(observed_run, status)
    return status.is_final


def _act(action: Action, observed_run: ObservedRun, context: ControllerContext) -> None:
    match action:
        case Start(stage, attempt):
            _start(stage, attempt, observed_run, context)
        case Stop(stage):
            context.cluster.delete_job(observed_run.jobs[stage].name)
        case Suspend(stage):
            job = observed_run.jobs[stage]
            if QUEUE_LABEL in job.metadata.labels:  # Kueue would resume it; a new Job waits in the queue
                context.cluster.delete_job(job.name)
            else:
                context.cluster.patch_job(job.name, {"suspend": True})
        case Resume(stage):
            context.cluster.patch_job(observed_run.jobs[stage].name, {"suspend": False})


def _start(stage: Stage, attempt: int, observed_run: ObservedRun, context: ControllerContext) -> None:
    """Create the Service by which several workers find each other, if there are several, then the stage's Job."""
    owner = Owner(observed_run.name, observed_run.run.uid)
    work = StageAttempt(observed_run.name, observed_run.spec, stage, attempt, owner)
    blueprints = context.store.read(keys.blueprints(str(observed_run.status.blueprints))).decode()
    if service := manifests.service(work, blueprints):
        context.cluster.create(service)
    context.cluster.create(manifests.job(work, context.settings, blueprints, observed_run.status.images))


def _count_ends(observed_run: ObservedRun, status: RunStatus) -> None:
    """Count the stages that have ended since the last status; each end is in one new status only."""
    for stage, job in observed_run.jobs.items():
        new, old = status.stages.get(stage), observed_run.status.stages.get(stage)
        if new is None or new == old or new.phase not in (Phase.DONE, Phase.FAILED) or new.job is None:
            continue
        if old and (old.phase, old.attempt) == (new.phase, new.attempt):
            continue
        failure = stage_failure_kind(job, observed_run.pods) if new.phase is Phase.FAILED else ""
        metrics.stage_ended(stage, new, failure)


def _settle(run: TrainingRunObject, jobs: Iterable[Job], context: ControllerContext) -> None:
    """Set an expiry time on the Jobs of a run that has ended, now that its end is recorded."""
    status, is_over = run.status, True
    for job in jobs:
        if has_ended(job) and job.spec.ttl_seconds_after_finished is None:
            context.cluster.patch_job(job.name, {"ttlSecondsAfterFinished": context.settings.keep_jobs})
        if not has_ended(job) and status.state is State.CANCELED:
            context.cluster.delete_job(job.name)
        is_over = is_over and has_ended(job)
    if is_over and status.settled != status.attempt:
        context.cluster.write_status(run, status.model_copy(update={"settled": status.attempt}))
