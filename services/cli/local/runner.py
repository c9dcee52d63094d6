"""The runner of a local run: drives the pipeline's state machine with processes and a folder."""

import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from slipway import keys
from slipway.artifacts.dataset import DataReport, IngestResult
from slipway.artifacts.json_io import read_document, read_optional, write_document
from slipway.artifacts.outcome import StageFailure
from slipway.errors import EXIT_BUG, EXIT_DONE, SlipwayError
from slipway.run.names import Stage, processes_of
from slipway.run.pipeline import Conclude, Observation, Phase, Start, State, Unit, next_actions
from slipway.run.plan import Plan
from slipway.run.run_file import begin_run, load_run
from slipway.run.spec import RunSpec, TrainingRun
from slipway.store.folder import FolderStore

from services.cli.local.process import ExitStatus, ProcessSpec, StageProcesses
from services.cli.local.run_lock import LockedRun, lock_run
from services.cli.local.supervisor import EXIT_INTERRUPTED, Interrupts, run_processes
from services.cli.screen.events import Event, Show


@dataclass(frozen=True)
class Outcome:
    """The outcome of a run, or of this command's work on it.

    Attributes:
      state: SUCCEEDED, FAILED, or SUSPENDED when the user stopped it.
      stage: The stage that failed or was stopped.
      is_new: False when every stage was done before.
      durations: Seconds of the stages that this command ran.
    """

    state: State
    code: int = EXIT_DONE
    stage: Stage | None = None
    reason: str = ""
    is_new: bool = True
    durations: Mapping[Stage, float] = field(default_factory=dict)


def run_local(
    run: TrainingRun,
    store: FolderStore,
    show: Show,
    interrupts: Interrupts | None = None,
    until: Stage | None = None,
) -> Outcome:
    """Run the stages that are not done, to the end of the run.

    Args:
      interrupts: Also counts the caller's requests to stop.
      until: The last stage that is run now; the others can be run later.

    Raises:
      SlipwayError: The run cannot begin: its name is taken, it runs already, or the folder cannot be written.
    """
    name = run.metadata.name
    begin_run(_limit_workers(run), store)
    spec = load_run(name, store).spec
    spec = spec.model_copy(update={"until": until}) if until in spec.stages else spec
    if all(unit.phase is Phase.DONE for unit in observe_stages(store, name, spec).values()):
        return Outcome(State.SUCCEEDED, is_new=False)
    with lock_run(store, name) as lock, (interrupts or Interrupts()).catch_signals() as requests:
        return Runner(name, store, lock, show, requests).drive(spec)


def observe_stages(store: FolderStore, run: str, spec: RunSpec) -> dict[Stage, Unit]:
    """Read the state of each stage from the store."""
    return {stage: _observe_stage(store, run, stage) for stage in spec.stages}


@dataclass
class Runner:
    """Observes the stages and takes the next action, repeatedly, until the run is concluded.

    Attributes:
      failures: Failures during this command, in memory too, in case one could not be written to the store.
    """

    name: str
    store: FolderStore
    lock: LockedRun
    show: Show
    interrupts: Interrupts
    failures: dict[Stage, ExitStatus] = field(default_factory=dict)
    durations: dict[Stage, float] = field(default_factory=dict)

    def drive(self, spec: RunSpec) -> Outcome:
        units = observe_stages(self.store, self.name, spec)
        spec = spec.model_copy(update={"attempt": 1 + max(unit.attempt for unit in units.values())})
        for stage in (s for s in spec.stages if units[s].phase is Phase.DONE):
            self.show({"event": "stage_skipped", "stage": stage})
        while True:
            match next_actions(spec, Observation(self._observe(spec))):
                case [Start(stage, attempt)] if not self.interrupts.count:
                    status = self._run_stage(stage, attempt, spec)
                    if status.code == EXIT_INTERRUPTED:
                        return Outcome(State.SUSPENDED, EXIT_INTERRUPTED, stage, status.reason)
                case [Start(stage, _)]:
                    return Outcome(State.SUSPENDED, EXIT_INTERRUPTED, stage)
                case [Conclude(State.SUCCEEDED)]:
                    return Outcome(State.SUCCEEDED, durations=self.durations)
                case [Conclude(State.FAILED, failed_stage)] if failed_stage:
                    status = self.failures[failed_stage]
                    return Outcome(State.FAILED, status.code, failed_stage, status.reason)
                case actions:
                    raise AssertionError(f"a local run is never asked for {actions}")

    def _observe(self, spec: RunSpec) -> dict[Stage, Unit]:
        failures = {s: Unit(Phase.FAILED, spec.attempt, status.reason) for s, status in self.failures.items()}
        return observe_stages(self.store, self.name, spec) | failures

    def _run_stage(self, stage: Stage, attempt: int, spec: RunSpec) -> ExitStatus:
        """Run one stage; record its failure, or show the choices of ingest."""
        start = time.monotonic()
        self.show({"event": "stage_begun", "stage": stage})
        status = run_processes(self._processes(stage, attempt, spec), self.show, self.interrupts)
        if status.code == EXIT_DONE and self.store.stat(keys.result(self.name, stage)) is None:
            status = ExitStatus(EXIT_BUG, f"{stage} ended well but wrote no result (a bug in slipway)", status.output)
        if status.code not in (EXIT_DONE, EXIT_INTERRUPTED):
            self.failures[stage] = status
            self._record_failure(stage, attempt, status)
        seconds = self.durations[stage] = round(time.monotonic() - start, 1)
        self.show({"event": "stage_over", "stage": stage, "code": status.code, "duration_sec": seconds})
        if stage == "ingest" and status.code == EXIT_DONE:
            self.show(_choices_event(self.store, self.name))
            self.show(_findings_event(self.store, self.name))
            if event := _config_event(self.store, self.name):
                self.show(event)
        return status

    def _processes(self, stage: Stage, attempt: int, spec: RunSpec) -> StageProcesses:
        environment = {
            "SLIPWAY_STORE": str(self.store.root),
            "SLIPWAY_RUN": self.name,
            "SLIPWAY_ATTEMPT": str(attempt),
            "SLIPWAY_SCRATCH": str(self.lock.scratch),
            "SLIPWAY_DIES_WITH_PARENT": "1",
        }
        specs = process_specs(stage, spec)
        return StageProcesses(stage, specs, environment, self.lock.scratch, (self.lock.descriptor,))

    def _record_failure(self, stage: Stage, attempt: int, status: ExitStatus) -> None:
        """Write the failure and the output of a crash; an error of the store must not hide the reason."""
        failure = StageFailure(attempt=attempt, code=status.code, reason=status.reason)
        try:
            write_document(self.store, keys.failure(self.name, stage), failure)
            if status.output:
                text = "\n".join(status.output).encode() + b"\n"
                self.store.write(keys.log(self.name, stage, attempt, "output", 0), text)
        except SlipwayError as error:
            self.show({"event": "failure_unrecorded", "stage": stage, "level": "ERROR", "message": str(error)})


def process_specs(stage: Stage, spec: RunSpec) -> list[ProcessSpec]:
    """List the processes of a stage on one machine."""
    workers: int = getattr(getattr(spec, stage, None), "workers", 1)
    return [
        ProcessSpec(process.module, index=index, is_sidecar=process.is_sidecar)
        for process in processes_of(stage)
        for index in range(workers if process.is_indexed else 1)
    ]


def _choices_event(store: FolderStore, run: str) -> Event:
    key = keys.plan(run)
    plan = Plan.parse(store.read(key), key)
    choices = [{"field": name, **choice.content()} for name, choice in plan.choices.items()]
    return {"event": "choices", "stage": "ingest", "choices": choices}


def _config_event(store: FolderStore, run: str) -> Event | None:
    """Return the event with the source's pipeline config compared with the run; None if it has none."""
    config = read_document(store, keys.result(run, "ingest"), IngestResult).pipeline_config
    if config is None:
        return None
    fields = [{**field.content(), "outcome_text": field.outcome_text} for field in config.fields]
    return {"event": "config", "stage": "ingest", "file": config.file, "fault": config.fault, "fields": fields}


def _findings_event(store: FolderStore, run: str) -> Event:
    """Return the event with the findings of the dataset's report."""
    dataset = read_document(store, keys.result(run, "ingest"), IngestResult).dataset
    report = read_document(store, keys.data_report(dataset, "json"), DataReport)
    return {
        "event": "findings",
        "stage": "ingest",
        "counts": dict(report.counts),
        "findings": [asdict(finding) for finding in report.findings if finding.severity != "info"],
        "notes": list(report.notes),
        "report": str(store.root / keys.data_report(dataset, "html")),
    }


def _limit_workers(run: TrainingRun) -> TrainingRun:
    """Limit the workers of preprocess to this machine's processors; their number does not change the records."""
    workers = min(run.spec.preprocess.workers, os.cpu_count() or 1)
    preprocess = run.spec.preprocess.model_copy(update={"workers": workers})
    return run.model_copy(update={"spec": run.spec.model_copy(update={"preprocess": preprocess})})


def _observe_stage(store: FolderStore, run: str, stage: Stage) -> Unit:
    if store.stat(keys.result(run, stage)) is not None:
        return Unit(Phase.DONE)
    if failure := read_optional(store, keys.failure(run, stage), StageFailure):
        return Unit(Phase.FAILED, failure.attempt, failure.reason)
    return Unit(Phase.ABSENT)
