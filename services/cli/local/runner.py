"""A run on this machine: the pipeline's state machine, driven with processes and a folder."""

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from slipway import keys
from slipway.artifacts.untyped_json import read_json
from slipway.errors import EXIT_BUG, EXIT_DONE, SlipwayError
from slipway.run.names import Stage
from slipway.run.pipeline import Conclude, Observed, Phase, Start, State, Unit, next_actions
from slipway.run.plan import Plan
from slipway.run.spec import RunSpec, TrainingRun, begin, load
from slipway.store.folder import FolderStore

from services.cli.local.process import Crew, Ended, Event, Part, Show
from services.cli.local.run_lock import Place, hold
from services.cli.local.supervisor import EXIT_INTERRUPTED, Interrupts, run_crew


@dataclass(frozen=True)
class Outcome:
    """How the command ended.

    Attributes:
      state: SUCCEEDED, FAILED, or SUSPENDED when the user stopped it.
      stage: Where it failed or was stopped.
      worked: Whether anything was left to do.
    """

    state: State
    code: int = EXIT_DONE
    stage: Stage | None = None
    reason: str = ""
    worked: bool = True


def run_local(run: TrainingRun, store: FolderStore, show: Show) -> Outcome:
    """Bring a run to its end, from wherever it stands.

    Raises:
      SlipwayError: The run cannot begin: its name is taken, it runs already, or the folder cannot be written.
    """
    name = run.metadata.name
    begin(_fitted(run), store)
    spec = load(name, store).spec
    if all(unit.phase is Phase.DONE for unit in look(store, name, spec).values()):
        return Outcome(State.SUCCEEDED, worked=False)
    with hold(store, name) as place, Interrupts().counted() as interrupts:
        return Runner(name, store, place, show, interrupts).drive(spec)


def look(store: FolderStore, run: str, spec: RunSpec) -> dict[Stage, Unit]:
    """See how each stage of the run stands in the store."""
    return {stage: _unit(store, run, stage) for stage in spec.stages}


@dataclass
class Runner:
    """Looks, acts and looks again, until the run is concluded.

    Attributes:
      failures: Of this command, so that one that could not be written is known all the same.
    """

    name: str
    store: FolderStore
    place: Place
    show: Show
    interrupts: Interrupts
    failures: dict[Stage, Ended] = field(default_factory=dict)

    def drive(self, spec: RunSpec) -> Outcome:
        units = look(self.store, self.name, spec)
        spec = spec.model_copy(update={"attempt": 1 + max(unit.attempt for unit in units.values())})
        for stage in (s for s in spec.stages if units[s].phase is Phase.DONE):
            self.show({"event": "stage_skipped", "stage": stage})
        while True:
            match next_actions(spec, Observed(self._look(spec))):
                case [Start(stage, attempt)] if not self.interrupts.count:
                    ended = self._run(stage, attempt, spec)
                    if ended.code == EXIT_INTERRUPTED:
                        return Outcome(State.SUSPENDED, EXIT_INTERRUPTED, stage, ended.reason)
                case [Start(stage, _)]:
                    return Outcome(State.SUSPENDED, EXIT_INTERRUPTED, stage)
                case [Conclude(State.SUCCEEDED)]:
                    return Outcome(State.SUCCEEDED)
                case [Conclude(State.FAILED, failed)] if failed:
                    ended = self.failures[failed]
                    return Outcome(State.FAILED, ended.code, failed, ended.reason)
                case actions:
                    raise AssertionError(f"a local run is never asked for {actions}")

    def _look(self, spec: RunSpec) -> dict[Stage, Unit]:
        failed = {s: Unit(Phase.FAILED, spec.attempt, ended.reason) for s, ended in self.failures.items()}
        return look(self.store, self.name, spec) | failed

    def _run(self, stage: Stage, attempt: int, spec: RunSpec) -> Ended:
        """Run one stage; note how it failed, or tell what it found."""
        started = time.monotonic()
        self.show({"event": "stage_begun", "stage": stage})
        environment = {
            "SLIPWAY_STORE": str(self.store.root),
            "SLIPWAY_RUN": self.name,
            "SLIPWAY_ATTEMPT": str(attempt),
            "SLIPWAY_SCRATCH": str(self.place.scratch),
            "SLIPWAY_DIES_WITH_PARENT": "1",
        }
        crew = Crew(stage, parts(stage, spec), environment, self.place.scratch, (self.place.lock,))
        ended = run_crew(crew, self.show, self.interrupts)
        if ended.code == EXIT_DONE and self.store.size(keys.result(self.name, stage)) is None:
            ended = Ended(EXIT_BUG, f"{stage} ended well but wrote no result (a bug in slipway)", ended.output)
        if ended.code not in (EXIT_DONE, EXIT_INTERRUPTED):
            self.failures[stage] = ended
            self._record(stage, attempt, ended)
        seconds = round(time.monotonic() - started, 1)
        self.show({"event": "stage_over", "stage": stage, "code": ended.code, "duration_sec": seconds})
        if stage == "ingest" and ended.code == EXIT_DONE:
            self.show(_choices(self.store, self.name))
            self.show(_findings(self.store, self.name))
        return ended

    def _record(self, stage: Stage, attempt: int, ended: Ended) -> None:
        """Write what failed and what a crash said; a store that takes nothing must not hide the reason."""
        failure = {"attempt": attempt, "code": ended.code, "reason": ended.reason}
        try:
            self.store.write(keys.failure(self.name, stage), json.dumps(failure).encode() + b"\n")
            if ended.output:
                text = "\n".join(ended.output).encode() + b"\n"
                self.store.write(keys.log(self.name, stage, attempt, "output", 0), text)
        except SlipwayError as error:
            self.show({"event": "failure_unrecorded", "stage": stage, "level": "ERROR", "message": str(error)})


def parts(stage: Stage, spec: RunSpec) -> list[Part]:
    """Name the processes of a stage."""
    match stage:
        case "preprocess":
            return [Part("services.preprocess", index=index) for index in range(spec.preprocess.workers)]
        case "train":
            return [Part("services.trainer"), Part("services.evaluator", is_sidecar=True)]
        case "export":
            return [Part("services.exporter")]
        case "detect":
            return [Part("services.detector")]
        case _:
            return [Part(f"services.{stage}")]


def _choices(store: FolderStore, run: str) -> Event:
    key = keys.resolved(run)
    plan = Plan.parse(store.read(key), key)
    choices = [{"field": field, **choice.content()} for field, choice in plan.choices.items()]
    return {"event": "choices", "stage": "ingest", "choices": choices}


def _findings(store: FolderStore, run: str) -> Event:
    """Tell what ingest found in the annotations, from the dataset's report."""
    dataset: str = read_json(store, keys.result(run, "ingest"))["dataset"]
    report: Mapping[str, Any] = read_json(store, keys.data_report(dataset, "json"))
    return {
        "event": "findings",
        "stage": "ingest",
        "counts": report.get("counts", {}),
        "findings": [f for f in report.get("findings", []) if f["severity"] != "info"],
        "notes": report.get("notes", []),
        "report": str(store.root / keys.data_report(dataset, "html")),
    }


def _fitted(run: TrainingRun) -> TrainingRun:
    """Let no more workers make records than this machine has processors; their number changes no record."""
    workers = min(run.spec.preprocess.workers, os.cpu_count() or 1)
    preprocess = run.spec.preprocess.model_copy(update={"workers": workers})
    return run.model_copy(update={"spec": run.spec.model_copy(update={"preprocess": preprocess})})


def _unit(store: FolderStore, run: str, stage: Stage) -> Unit:
    if store.size(keys.result(run, stage)) is not None:
        return Unit(Phase.DONE)
    if store.size(keys.failure(run, stage)) is not None:
        failure = read_json(store, keys.failure(run, stage))
        return Unit(Phase.FAILED, failure["attempt"], failure["reason"])
    return Unit(Phase.ABSENT)
