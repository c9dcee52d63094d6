"""The summary of a run, read from the store: an event for scripts, tables for people."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from slipway import keys
from slipway.artifacts.dataset import IngestResult
from slipway.artifacts.error_analysis import ErrorAnalysis
from slipway.artifacts.evaluation import BestCheckpoint, ClassScore, MeasuredCheckpoint
from slipway.artifacts.json_io import read_document, read_optional
from slipway.artifacts.outcome import StageResult
from slipway.errors import EXIT_BUG, EXIT_DONE
from slipway.run.names import STAGES, Stage
from slipway.run.spec import RunSpec
from slipway.store.folder import FolderStore
from slipway.text import format_duration

from services.cli.local.runner import Outcome
from services.cli.screen.events import Event
from services.cli.screen.tables import MOST_ROWS, new_table, plain_text, print_line, score_text

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class Paths:
    """Files and folders of a run that a user can open; None for those that do not exist."""

    run: str
    logs: str
    data_report: str | None = None
    saved_model: str | None = None
    detections: str | None = None
    report: str | None = None

    def content(self) -> dict[str, str]:
        return {name: path for name, path in asdict(self).items() if path is not None}


@dataclass(frozen=True)
class RunSummary:
    """The outcome of a run and its most important numbers.

    Attributes:
      best: None before the training is done.
      advice: Sentences on the next step, of which the first is printed.
      durations: Stage to seconds. A result may lack its duration, since several workers write the same bytes; then
        it is the time that this command waited for the stage, if it did.
    """

    run: str
    outcome: Outcome
    best: BestCheckpoint | None
    durations: Mapping[Stage, float]
    paths: Paths
    advice: tuple[str, ...] = ()

    @property
    def is_done(self) -> bool:
        return self.outcome.code == EXIT_DONE

    def event(self) -> Event:
        """Return the last event of `slipway run --json`."""
        best = self.best.content() if self.best else {}
        return {
            "event": "run_over",
            "run": self.run,
            "state": self.outcome.state.value,
            "code": self.outcome.code,
            "stage": self.outcome.stage,
            "reason": self.outcome.reason,
            "metrics": best.get("metrics", {}),
            "step": best.get("step"),
            "split": best.get("split"),
            "last": best.get("last", {}),
            "note": best.get("note", ""),
            "per_class": best.get("per_class", []),
            "intervals": best.get("intervals"),
            "operating_points": best.get("operating_points"),
            "advice": list(self.advice),
            "warning": self.best.warning if self.best else "",
            "durations_sec": dict(self.durations),
            "paths": self.paths.content(),
        }


def summarize(store: FolderStore, run: str, spec: RunSpec, outcome: Outcome) -> RunSummary:
    """Read the summary of a run from the results of the stages that it has."""
    results = {stage: read_optional(store, keys.result(run, stage), StageResult) for stage in STAGES}
    done = {stage: result for stage, result in results.items() if result}
    seconds = {stage: outcome.durations.get(stage, result.duration_sec) for stage, result in done.items()}
    seconds |= {stage: result.duration_sec for stage, result in done.items() if result.duration_sec is not None}
    durations = {stage: sec for stage, sec in seconds.items() if sec is not None and stage in spec.stages}
    best = read_optional(store, keys.best(run), BestCheckpoint) if "train" in done else None
    errors = read_optional(store, keys.error_analysis(run), ErrorAnalysis) if best else None
    advice = errors.advice if errors else ()
    return RunSummary(run, outcome, best, durations, _paths(store, run, done), advice)


def print_success(summary: RunSummary) -> None:
    """Print a finished run; its last lines name the AP50 and the report."""
    from rich.console import Console

    console, paths, best = Console(), summary.paths, summary.best
    if not summary.outcome.is_new:
        print_line(console, f"nothing to do: finished {paths.run}")
    if best:
        console.print(_score_table(summary.run, best))
        console.print(_class_table(best.per_class))
    if seconds := sum(summary.durations.values()):
        stages = " · ".join(f"{stage} {format_duration(sec)}" for stage, sec in summary.durations.items())
        print_line(console, f"took {format_duration(seconds)}: {stages}")
    for name, path in (("saved_model", paths.saved_model), ("detections", paths.detections)):
        print_line(console, f"{name}: {path}" if path else "")
    if best:
        print_line(console, f"AP50 {score_text(best.metrics.ap50)} on {best.split}, step {best.step}")
        print_line(console, best.interval_note)
        print_line(console, best.threshold_note)
        print_line(console, best.note)
        print_line(console, best.warning)
        print_line(console, "".join(summary.advice[:1]))
    print_line(console, f"report: {paths.report or paths.data_report or paths.run}")


def failure_lines(summary: RunSummary) -> list[str]:
    """Return the reason why a run did not succeed, and the next step for the user."""
    stage, reason = summary.outcome.stage, summary.outcome.reason
    if summary.outcome.state == "SUSPENDED":
        line = reason if reason.startswith("stopped at step") else f"stopped at {stage}"
        return [line if "carry on" in line else f"{line}; run the same command again to carry on"]
    lines = [f"{stage} failed: {reason}"]
    if summary.outcome.code == EXIT_BUG:
        lines.append(f"the log with the traceback is in {summary.paths.logs}")
    return lines


def _score_table(run: str, best: BestCheckpoint) -> "Table":
    table = new_table("checkpoint", "step", "AP50", "AP", "AP75", title=f"{run}, measured on {best.split}")
    rows: list[tuple[str, MeasuredCheckpoint | None]] = [("best", best), ("last", best.last)]
    for name, checkpoint in rows:
        if checkpoint:
            metrics = checkpoint.metrics
            scores = (score_text(score) for score in (metrics.ap50, metrics.ap, metrics.ap75))
            table.add_row(name, str(checkpoint.step), *scores)
    return table


def _class_table(scores: tuple[ClassScore, ...]) -> "Table":
    table = new_table("class", "AP50", "AP", "images", "boxes")
    for row in scores[:MOST_ROWS]:
        counts = (str(row.images), str(row.boxes))
        table.add_row(plain_text(row.label), score_text(row.ap50), score_text(row.ap), *counts)
    return table


def _paths(store: FolderStore, run: str, done: Mapping[Stage, StageResult]) -> Paths:
    dataset = read_document(store, keys.result(run, "ingest"), IngestResult).dataset if "ingest" in done else None

    def path(key: str) -> str:
        return str(store.root / key)

    return Paths(
        run=path(keys.run_folder(run)),
        logs=path(keys.logs(run)),
        data_report=path(keys.data_report(dataset, "html")) if dataset else None,
        saved_model=path(keys.saved_model(run)) if "export" in done else None,
        detections=path(keys.detections(run)) if "detect" in done else None,
        report=path(keys.report(run)) if "detect" in done else None,
    )
