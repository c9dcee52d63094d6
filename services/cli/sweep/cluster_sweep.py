"""A sweep in an installation: submits a few runs at a time, and cancels those that the median rule stops."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from slipway import keys
from slipway.artifacts.evaluation import BestCheckpoint, MeasuredCheckpoint
from slipway.artifacts.json_io import read_optional, write_document
from slipway.artifacts.sweep import Sweep, SweepRun, SweepWinner
from slipway.digests import sha256_json
from slipway.errors import EXIT_DONE, SpecError
from slipway.models import validate
from slipway.run.names import LONGEST_NAME, slug
from slipway.run.pipeline import State
from slipway.run.run_file import parse_run
from slipway.run.spec import Metadata, RunSpec, TrainingRun
from slipway.store.folder import FolderStore
from slipway.text import seconds_between

from services.cli.commands.submit import SubmitRequest, read_body
from services.cli.local.run_request import run_specs
from services.cli.local.supervisor import EXIT_INTERRUPTED, Interrupts
from services.cli.remote.answers import DatasetSplits, MetricsAnswer, Run, StageAnswer
from services.cli.remote.client import Api, Call, run_path
from services.cli.remote.credentials import connect
from services.cli.remote.errors import ApiRefused
from services.cli.remote.run_events import exit_code, get_run
from services.cli.screen.console import print_json
from services.cli.screen.event_lines import event_lines
from services.cli.screen.events import Event
from services.cli.screen.sweep_table import print_sweep
from services.cli.sweep.pruning import reason_to_stop
from services.cli.sweep.trials import SweepRequest, Trial, check_specs, new_sweep, plan_trials, with_val_ratio

_POLL_SEC = 5.0
_LONGEST_PREFIX = LONGEST_NAME - 9  # "-" and eight digits of the digest follow
_NO_STAGE = StageAnswer()


def sweep(request: SweepRequest, parallel: int) -> int:
    """Submit the runs that have not ended, follow them, print all of them, and return the exit code.

    Args:
      parallel: Number of runs at a time.
    """
    if request.run.file is None:
        raise SpecError("--submit needs a run file (-f run.yaml) that names a dataset or an s3:// source")
    read_body(SubmitRequest(request.run.file))  # refuses a source that the installation cannot read
    trials = plan_trials(request)
    specs = run_specs(request.run, [trial.options for trial in trials])
    check_specs(specs)
    api = connect()
    notes: list[str] = []
    if specs[0].dataset.ref or not specs[0].ingest.val_ratio:
        request, notes = with_val_ratio(request, specs[0], _splits(api, specs[0]))
    runs = _name_runs(request, trials)
    store = FolderStore(request.out.absolute())
    new = new_sweep(trials, runs, notes)
    old = read_optional(store, keys.sweep(new.name), Sweep)
    with Interrupts().catch_signals() as interrupts:
        runs_by_name = {run.metadata.name: run for run in runs}
        return ClusterSweep(api, request, store, runs_by_name, old or new).drive(parallel, interrupts)


def _splits(api: Api, spec: RunSpec) -> Mapping[str, Any]:
    """Return the splits of an ingested dataset; a source is not read by this command."""
    if spec.dataset.ref is None:
        return {}
    return api.answer(DatasetSplits, Call("GET", f"/v1/datasets/{spec.dataset.ref}")).splits


def _name_runs(request: SweepRequest, trials: Sequence[Trial]) -> list[TrainingRun]:
    """Return the runs, each named after the run file's and its own digest."""
    file = Path(str(request.run.file))
    prefix = slug(parse_run(file.read_text(), str(file)).metadata.name, _LONGEST_PREFIX)
    specs = run_specs(request.run, [trial.options for trial in trials])
    return [TrainingRun(metadata=Metadata(name=f"{prefix}-{spec.digest()[:8]}"), spec=spec) for spec in specs]


@dataclass
class ClusterSweep:
    """Submits the runs of a sweep and follows them; `sweep.json` is written in a folder of this machine.

    Attributes:
      code: The exit code of the last run that failed.
    """

    api: Api
    request: SweepRequest
    store: FolderStore
    runs: Mapping[str, TrainingRun]
    sweep: Sweep
    code: int = EXIT_DONE

    def drive(self, parallel: int, interrupts: Interrupts) -> int:
        """Follow the runs to their end, or until the user interrupts; the installation then goes on with them."""
        for run in self.sweep.runs:  # those of an earlier command are submitted again, which changes nothing
            if run.state in ("running", "failed"):
                self._save(run.model_copy(update={"state": "waiting"}))
        while not interrupts.count:
            for run in [run for run in self.sweep.runs if run.state == "waiting"][: parallel - self._running_count]:
                self._submit(run)
            for run in [run for run in self.sweep.runs if run.state == "running"]:
                self._follow(run)
            if not self._running_count and not self.sweep.count("waiting"):
                return self._finish()
            _sleep(_POLL_SEC, interrupts)
        return self._print(EXIT_INTERRUPTED)

    @property
    def _running_count(self) -> int:
        return self.sweep.count("running")

    def _submit(self, run: SweepRun) -> None:
        """Create the run; the installation answers a second request for it with the first one's run."""
        whole_run = self.runs[run.run]
        body = whole_run.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
        body |= {"apiVersion": whole_run.api_version, "kind": whole_run.kind}
        headers = {"Idempotency-Key": sha256_json([os.getuid(), body])}
        self.api.answer(Run, Call("POST", "/v1/runs", body=body, headers=headers))
        number = [*self.runs].index(run.run) + 1
        counts = {"number": number, "count": len(self.runs)}
        self._show({"event": "trial_begun", "run": run.run, "values": {**run.values}, **counts})
        self._save(run.model_copy(update={"state": "running"}))

    def _follow(self, run: SweepRun) -> None:
        """Read the state and the evaluations of a run; cancel it if the median rule says so."""
        answer = get_run(self.api, run.run)
        evaluations = self.api.answer(MetricsAnswer, Call("GET", run_path(run.run, "/metrics"))).evaluations
        rows = sorted((row for row in evaluations if row.split == "val"), key=lambda row: row.step)
        run = run.model_copy(
            update={
                "aps": tuple(row.ap for row in rows),
                "ap50": max(rows, key=lambda row: row.ap).ap50 if rows else None,
                "duration_sec": _training_seconds(answer),
            }
        )
        reason = self._reason_to_stop(run) if answer.status.stage == "train" else ""
        if answer.is_final:
            run = self._end(run, answer)
        elif reason and self._cancel(run.run):
            run = run.model_copy(update={"state": "pruned", "reason": reason})
        if run.state != "running":
            self._show({"event": "trial_over", "run": run.run, "state": run.state, "AP": run.ap, "reason": run.reason})
        self._save(run)

    def _reason_to_stop(self, run: SweepRun) -> str:
        others = [other.aps for other in self.sweep.runs if other.run != run.run and other.state in ("running", "done")]
        return reason_to_stop(run.aps, others) if self.request.prunes else ""

    def _cancel(self, name: str) -> bool:
        """Cancel a run; return False if it has ended meanwhile."""
        try:
            self.api.answer(Run, Call("POST", run_path(name, ":cancel")))
        except ApiRefused as error:
            if error.status != HTTPStatus.CONFLICT:
                raise
            return False
        return True

    def _end(self, run: SweepRun, answer: Run) -> SweepRun:
        if answer.state == State.SUCCEEDED:
            return run.model_copy(update={"state": "done"})
        self.code = exit_code(self.api, answer)
        reason = answer.status.reason or answer.state.lower()
        return run.model_copy(update={"state": "failed", "reason": reason})

    def _finish(self) -> int:
        """Read the metrics of the best run on the images that took no part in the choice."""
        best_run = self.sweep.best_run()
        if best_run:
            path = run_path(best_run.run, "/artifacts/evaluate/best.json")
            best = validate(BestCheckpoint, self.api.json(Call("GET", path)), path)
            checkpoint = MeasuredCheckpoint(step=best.step, split=best.split, metrics=best.metrics)
            winner = SweepWinner(run=best_run.run, checkpoint=checkpoint, images=best.images)
            self.sweep = self.sweep.model_copy(update={"winner": winner})
            write_document(self.store, keys.sweep(self.sweep.name), self.sweep)
        return self._print(self.code)

    def _show(self, event: Event) -> None:
        if self.request.as_json:
            print_json(event)
        for line in [] if self.request.as_json else event_lines(event):
            print(line, flush=True)

    def _save(self, run: SweepRun) -> None:
        self.sweep = self.sweep.replace_run(run)
        write_document(self.store, keys.sweep(self.sweep.name), self.sweep)

    def _print(self, code: int) -> int:
        print_sweep(self.sweep, code, None, self.request.as_json)
        return code


def _training_seconds(run: Run) -> float:
    first, last = run.stages.get("ingest", _NO_STAGE), run.stages.get("train", _NO_STAGE)
    return seconds_between(first.started_at, last.finished_at) or 0.0


def _sleep(seconds: float, interrupts: Interrupts) -> None:
    """Wait, or return as soon as the user interrupts."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not interrupts.count:
        time.sleep(0.05)
