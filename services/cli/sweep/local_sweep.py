"""A sweep on this machine: trains one run after another, and finishes the best of them."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from slipway import keys
from slipway.artifacts.dataset import IngestResult
from slipway.artifacts.evaluation import BestCheckpoint, MeasuredCheckpoint, MeasuredRow
from slipway.artifacts.json_io import read_document, read_lines, read_optional, write_document
from slipway.artifacts.outcome import StageResult
from slipway.artifacts.sweep import Sweep, SweepRun, SweepWinner
from slipway.errors import EXIT_DONE, SpecError
from slipway.run.pipeline import State
from slipway.run.spec import TrainingRun
from slipway.store.folder import FolderStore

from services.cli.commands.run import print_summary
from services.cli.local.run_request import run_specs, training_runs
from services.cli.local.runner import Outcome, run_local
from services.cli.local.supervisor import EXIT_INTERRUPTED, Interrupts
from services.cli.screen.console import display
from services.cli.screen.events import Event, Show
from services.cli.screen.summary import summarize
from services.cli.screen.sweep_table import print_sweep
from services.cli.sweep.pruning import reason_to_stop
from services.cli.sweep.trials import SweepRequest, Trial, check_specs, new_sweep, plan_trials, with_val_ratio

_ENDED = ("done", "pruned")  # a run that failed is tried again, as `slipway run` does


def sweep(request: SweepRequest) -> int:
    """Train the runs that have not ended, finish the best one, print all of them, and return the exit code."""
    if request.out.exists() and not request.out.is_dir():
        raise SpecError(f"--out {request.out} is a file; give a folder")
    trials, store = plan_trials(request), FolderStore(request.out.absolute())
    specs = run_specs(request.run, [trial.options for trial in trials])
    check_specs(specs)
    with Interrupts().catch_signals() as interrupts:
        notes: list[str] = []
        if specs[0].dataset.ref or not specs[0].ingest.val_ratio:
            run, outcome = _ingest(request, trials[0], store)
            if outcome.code != EXIT_DONE:
                return print_summary(summarize(store, run.metadata.name, run.spec, outcome), request.as_json)
            dataset = read_document(store, keys.result(run.metadata.name, "ingest"), IngestResult)
            request, notes = with_val_ratio(request, specs[0], dataset.splits)
        return _begin(request, trials, store, interrupts, notes).drive()


def _ingest(request: SweepRequest, trial: Trial, store: FolderStore) -> tuple[TrainingRun, Outcome]:
    """Ingest the source, to see whether it brings a val split."""
    (run,) = training_runs(request.run, [{**trial.options, "until": "ingest"}], request.out)
    with display(request.as_json) as show:
        return run, run_local(run, store, show)


def _begin(
    request: SweepRequest, trials: Sequence[Trial], store: FolderStore, interrupts: Interrupts, notes: Sequence[str]
) -> "LocalSweep":
    """Return the sweep as the store has it from an earlier command, or a new one."""
    runs = training_runs(request.run, [trial.options for trial in trials], request.out)
    new = new_sweep(trials, runs, notes)
    old = read_optional(store, keys.sweep(new.name), Sweep)
    return LocalSweep(request, store, {run.metadata.name: run for run in runs}, interrupts, old or new)


@dataclass
class LocalSweep:
    """Trains the runs of a sweep in order; `sweep.json` is written after each.

    Attributes:
      code: The exit code of the last run that failed.
    """

    request: SweepRequest
    store: FolderStore
    runs: Mapping[str, TrainingRun]
    interrupts: Interrupts
    sweep: Sweep
    code: int = EXIT_DONE

    def drive(self) -> int:
        for run in self.sweep.runs:
            if run.state not in _ENDED and not (self.interrupts.count == 0 and self._train(run)):
                return self._print(EXIT_INTERRUPTED)
        best_run = self.sweep.best_run()
        if best_run is None:
            return self._print(self.code)
        return self._finish(best_run.run)

    def _train(self, run: SweepRun) -> bool:
        """Train one run to its end, or until the median rule stops it; return False if the user interrupts it."""
        start = time.monotonic()
        with display(self.request.as_json) as show:
            watch = TrialWatch(show, run.run, self._other_aps(run) if self.request.prunes else [])
            watch.aps = {row.step: row.ap for row in self._rows(run.run)}
            watch.observe(self._begun_event(run))
            outcome = run_local(self.runs[run.run], self.store, watch.observe, watch.interrupts, until="train")
        seconds = time.monotonic() - start if outcome.is_new else self._trained_seconds(run.run)
        rows = self._rows(run.run)
        update = {
            "state": "pruned" if watch.is_pruned(outcome) else _STATES[outcome.state],
            "aps": tuple(row.ap for row in rows),
            "ap50": max(rows, key=lambda row: row.ap).ap50 if rows else None,
            "duration_sec": round(seconds + (run.duration_sec if outcome.is_new else 0.0), 1),
            "reason": watch.reason or (f"{outcome.stage}: {outcome.reason}" if outcome.state is State.FAILED else ""),
        }
        self.code = outcome.code if outcome.state is State.FAILED else self.code
        self._save(self.sweep.replace_run(run.model_copy(update=update)))
        user_interrupts = watch.interrupts.count - bool(watch.reason)
        return not user_interrupts and (outcome.state is not State.SUSPENDED or bool(watch.reason))

    def _finish(self, name: str) -> int:
        """Run the remaining stages of the best run, and read its metrics on the images that took no part."""
        run = self.runs[name]
        with display(self.request.as_json) as show:
            outcome = run_local(run, self.store, lambda event: show({**event, "run": name}))
        if outcome.code != EXIT_DONE:
            return print_summary(summarize(self.store, name, run.spec, outcome), self.request.as_json)
        best = read_document(self.store, keys.best(name), BestCheckpoint)
        checkpoint = MeasuredCheckpoint(step=best.step, split=best.split, metrics=best.metrics)
        winner = SweepWinner(run=name, checkpoint=checkpoint, images=best.images)
        self._save(self.sweep.model_copy(update={"winner": winner}))
        return self._print(self.code)

    def _other_aps(self, run: SweepRun) -> list[tuple[float, ...]]:
        return [other.aps for other in self.sweep.runs if other.run != run.run and other.state == "done"]

    def _begun_event(self, run: SweepRun) -> Event:
        number = [other.run for other in self.sweep.runs].index(run.run) + 1
        values = run.values if run.seed is None else {**run.values, "seed": run.seed}
        return {"event": "trial_begun", "values": values, "number": number, "count": len(self.sweep.runs)}

    def _rows(self, run: str) -> list[MeasuredRow]:
        rows = read_lines(self.store, keys.metrics(run), MeasuredRow)
        return sorted((row for row in rows if row.split == "val"), key=lambda row: row.step)

    def _trained_seconds(self, run: str) -> float:
        results = [read_optional(self.store, keys.result(run, stage), StageResult) for stage in ("ingest", "train")]
        return sum(result.duration_sec or 0.0 for result in results if result)

    def _save(self, sweep: Sweep) -> None:
        self.sweep = sweep
        write_document(self.store, keys.sweep(sweep.name), sweep)

    def _print(self, code: int) -> int:
        print_sweep(self.sweep, code, self.store.root, self.request.as_json)
        return code


_STATES = {State.SUCCEEDED: "done", State.FAILED: "failed", State.SUSPENDED: "waiting"}


@dataclass
class TrialWatch:
    """Shows the events of one run, and stops the run when the median rule says so.

    Attributes:
      other_runs: AP at each evaluation of the runs to compare with.
      aps: Step to AP on val.
      steps: Length of the training; the last checkpoint is measured when there is nothing left to stop.
      reason: Why the run was stopped.
    """

    show: Show
    run: str
    other_runs: Sequence[Sequence[float]]
    aps: dict[int, float] = field(default_factory=dict)
    interrupts: Interrupts = field(default_factory=Interrupts)
    steps: int = 0
    reason: str = ""

    def observe(self, event: Event) -> None:
        self.show({**event, "run": self.run})
        match event:
            case {"event": "step", "steps": int(steps)}:
                self.steps = steps
            case {"event": "evaluated", "split": "val", "step": int(step), "AP": int() | float() as ap}:
                self.aps[step] = ap
                if step < self.steps and not self.interrupts.count:
                    self._prune()

    def is_pruned(self, outcome: Outcome) -> bool:
        return bool(self.reason) and outcome.state is State.SUSPENDED

    def _prune(self) -> None:
        self.reason = reason_to_stop([self.aps[step] for step in sorted(self.aps)], self.other_runs)
        if self.reason:
            self.interrupts.count += 1
            self.show({"event": "trial_pruned", "run": self.run, "reason": self.reason})
