"""A view of a run at one moment: its object, its stages, their Jobs and pods."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from slipway import keys
from slipway.artifacts.outcome import RunStatus
from slipway.run.names import Stage
from slipway.run.pipeline import Observation, Phase, Unit
from slipway.run.spec import RunSpec

from services.controller.context import ControllerContext
from services.controller.job_state import attempt_of, job_failure, newest_jobs, phase_of
from services.controller.kube.objects import Job, Pod, TrainingRunObject


@dataclass(frozen=True)
class ObservedRun:
    """A run, its stages and their objects, as they were read.

    Attributes:
      units: Each stage, up to the first that is not done.
      jobs: The newest Job of each stage.
      pods: The pods of the first stage that is not done.
    """

    run: TrainingRunObject
    spec: RunSpec
    units: Mapping[Stage, Unit]
    jobs: Mapping[Stage, Job]
    pods: Sequence[Pod]

    @property
    def name(self) -> str:
        return self.run.name

    @property
    def status(self) -> RunStatus:
        """The status as it was read."""
        return self.run.status

    @property
    def current_stage(self) -> Stage | None:
        """The first stage that is not done."""
        return next((s for s in self.spec.stages if self.unit(s).phase is not Phase.DONE), None)

    def unit(self, stage: Stage) -> Unit:
        return Observation(self.units).unit(stage)


def observe(run: TrainingRunObject, spec: RunSpec, jobs: Iterable[Job], context: ControllerContext) -> ObservedRun:
    """Read the state of each stage, up to the first that is not done.

    Args:
      jobs: The Jobs that the run owns.
    """
    stage_jobs = newest_jobs(jobs)
    units: dict[Stage, Unit] = {}
    pods: list[Pod] = []
    for stage in spec.stages:
        job, status = stage_jobs.get(stage), run.status.stages.get(stage)
        if (status and status.phase is Phase.DONE) or context.store.stat(keys.result(run.name, stage)) is not None:
            units[stage] = Unit(Phase.DONE, status.attempt if status else spec.attempt)
            continue
        if job is not None:
            pods = context.cluster.pods(job.name, latest=phase_of(job) is Phase.FAILED)
            units[stage] = _unit(job, pods)
        elif status and status.phase is Phase.FAILED:
            units[stage] = Unit(Phase.FAILED, status.attempt, status.reason or "")
        break
    return ObservedRun(run, spec, units, stage_jobs, pods)


def _unit(job: Job, pods: Sequence[Pod]) -> Unit:
    attempt = attempt_of(job)
    match phase_of(job):
        case Phase.FAILED:
            return Unit(Phase.FAILED, attempt, job_failure(job, pods).reason)
        case Phase.DONE:
            return Unit(Phase.FAILED, attempt, "it ended well but wrote no result (a bug in slipway)")
        case phase:
            return Unit(phase, attempt)
