"""The writer of a run's status, and of the documents in the store that have to precede it.

A status that says that a run or a stage has ended is written after the store has recorded that end, since Jobs and pods
may expire as soon as the status says so.
"""

from slipway import keys
from slipway.artifacts.json_io import write_document
from slipway.artifacts.outcome import RunRecord, RunStatus, StageFailure
from slipway.errors import MissingKey
from slipway.run.names import Stage

from services.controller.context import ControllerContext
from services.controller.job_state import attempt_of, job_failure, killed_pod_lines
from services.controller.kube.objects import TrainingRunObject
from services.controller.observed_run import ObservedRun


def write_record_and_status(run: TrainingRunObject, status: RunStatus, context: ControllerContext) -> None:
    """Write the record, then the status."""
    write_document(context.store, keys.record(run.name), RunRecord.of(run.name, run.uid, status))
    context.cluster.write_status(run, status)


def write_failure(stage: Stage, observed_run: ObservedRun, reason: str, context: ControllerContext) -> None:
    """Write the failure of a stage to the store."""
    job = observed_run.jobs.get(stage)
    code = job_failure(job, observed_run.pods).exit_code if job else 1
    failure = StageFailure(attempt=observed_run.unit(stage).attempt, code=code, reason=reason)
    context.store.write(keys.failure(observed_run.name, stage), failure.encode_line())


def log_killed_pods(observed_run: ObservedRun, context: ControllerContext) -> None:
    """Add a line to the stage's logs for each pod that was killed, once: it could not log that itself."""
    stage = observed_run.current_stage
    if stage is None or stage not in observed_run.jobs:
        return
    job = observed_run.jobs[stage]
    lines = killed_pod_lines(job, observed_run.pods)
    if not lines:
        return
    key = keys.log(observed_run.name, stage, attempt_of(job), "controller", 0)
    try:
        old_lines = context.store.read(key).decode().splitlines()
    except MissingKey:
        old_lines = []
    if new_lines := [line for line in lines if line not in old_lines]:
        context.store.write(key, "".join(f"{line}\n" for line in [*old_lines, *new_lines]).encode())
