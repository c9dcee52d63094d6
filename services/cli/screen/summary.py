"""What a run has come to: gathered from the store, and told as tables."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from slipway import keys
from slipway.artifacts.untyped_json import read_optional
from slipway.errors import EXIT_BUG
from slipway.report.sections import measured
from slipway.run.names import STAGES, Stage
from slipway.run.spec import RunSpec
from slipway.store.folder import FolderStore
from slipway.text import format_duration

from services.cli.local.process import Event
from services.cli.local.runner import Outcome
from services.cli.screen.console import finding_line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_MOST_ROWS = 50  # of classes or findings in a terminal; the report has all


def summarize(store: FolderStore, run: str, spec: RunSpec, outcome: Outcome) -> Event:
    """Gather what a script wants to know of a run, whichever stages it has."""
    results = {stage: read_optional(store, keys.result(run, stage)) for stage in STAGES}
    best = read_optional(store, keys.best(run)) if results["train"] else {}
    # A result may lack its duration: the last of several workers writes it.
    durations = {
        stage: r["duration_sec"] for stage, r in results.items() if "duration_sec" in r and stage in spec.stages
    }
    return {
        "event": "run_over",
        "run": run,
        "state": outcome.state.value,
        "code": outcome.code,
        "stage": outcome.stage,
        "reason": outcome.reason,
        "metrics": best.get("metrics", {}),
        "step": best.get("step"),
        "split": best.get("split"),
        "last": best.get("last", {}),
        "note": best.get("note", ""),
        "per_class": best.get("per_class", []),
        "durations_sec": durations,
        "paths": _paths(store, run, results),
    }


def closing(summary: Event, worked: bool) -> None:
    """Print how a finished run turned out; its last lines name the AP50 and the report."""
    from rich.console import Console

    console, paths = Console(), summary["paths"]
    spent = sum(summary["durations_sec"].values())
    if not worked:
        _say(console, f"nothing to do: finished {paths['run']}")
    if summary["metrics"]:
        console.print(_scores(summary))
        console.print(_classes(summary["per_class"]))
    if spent:
        each = " · ".join(f"{stage} {format_duration(sec)}" for stage, sec in summary["durations_sec"].items())
        _say(console, f"took {format_duration(spent)}: {each}")
    for name in ("saved_model", "detections"):
        if name in paths:
            _say(console, f"{name}: {paths[name]}")
    if summary["metrics"]:
        _say(console, f"AP50 {_score(summary['metrics'].get('AP50'))} on {summary['split']}, step {summary['step']}")
        _say(console, summary["note"])
    _say(console, f"report: {paths.get('report') or paths.get('data_report') or paths['run']}")


def failing(summary: Event) -> list[str]:
    """Say why a run did not end well, and what to do."""
    stage, reason = summary["stage"], summary["reason"]
    if summary["state"] == "SUSPENDED":
        stopped = reason if reason.startswith("stopped at step") else f"stopped at {stage}"
        return [stopped if "carry on" in stopped else f"{stopped}; run the same command again to carry on"]
    lines = [f"{stage} failed: {reason}"]
    if summary["code"] == EXIT_BUG:
        lines.append(f"the log with the traceback is in {summary['paths']['logs']}")
    return lines


def data_tables(report: Mapping[str, Any]) -> None:
    """Print a dataset's report: its splits, its classes, and every finding with its file."""
    from rich.console import Console

    console = Console()
    splits: Mapping[str, Mapping[str, Any]] = report["splits"]
    table = _table("class", *(f"{name} boxes" for name in splits), title=f"dataset {report.get('name', '')}")
    for label in report["labels"][:_MOST_ROWS]:
        table.add_row(_text(label), *(str(s.get("per_class", {}).get(label, 0)) for s in splits.values()))
    table.add_section()
    table.add_row("all boxes", *(str(split["boxes"]) for split in splits.values()))
    table.add_row("images", *(str(split["images"]) for split in splits.values()))
    console.print(table)
    for note in report.get("notes", []):
        _say(console, note)
    _findings(console, report)


def _findings(console: "Console", report: Mapping[str, Any]) -> None:
    counts = {code: count for code, count in report.get("counts", {}).items() if count}
    if not counts:
        _say(console, "findings: none")
        return
    found = sorted(report["findings"], key=lambda f: ("error", "warning", "info").index(f["severity"]))
    table = _table("severity", "code", "finding", title=f"{sum(counts.values())} findings", numbers=False)
    for finding in found[:_MOST_ROWS]:
        table.add_row(finding["severity"], finding["code"], _text(finding_line(finding)))
    console.print(table)
    if sum(counts.values()) > _MOST_ROWS:
        _say(console, "more: " + ", ".join(f"{count} {code}" for code, count in counts.items()))


def _scores(summary: Event) -> "Table":
    last = summary["last"]
    table = _table(
        "checkpoint", "step", "AP50", "AP", "AP75", title=f"{summary['run']}, measured on {summary['split']}"
    )
    rows = [("best", summary["step"], summary["metrics"]), ("last", last.get("step"), last.get("metrics", {}))]
    for name, step, metrics in rows:
        if metrics:
            table.add_row(name, str(step), *(_score(metrics.get(metric)) for metric in ("AP50", "AP", "AP75")))
    return table


def _classes(per_class: list[dict[str, Any]]) -> "Table":
    table = _table("class", "AP50", "AP", "images", "boxes")
    for row in per_class[:_MOST_ROWS]:
        counts = (str(row.get("images", "")), str(row.get("boxes", "")))
        table.add_row(_text(row["label"]), _score(row.get("AP50")), _score(row.get("AP")), *counts)
    return table


def _table(*columns: str, title: str | None = None, numbers: bool = True) -> "Table":
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for position, column in enumerate(columns):
        table.add_column(column, justify="right" if position and numbers else "left", overflow="fold")
    return table


def _text(stranger: str) -> Any:
    """Wrap a name out of a stranger's file, so that its brackets are no markup."""
    from rich.text import Text

    return Text(stranger)


def _say(console: "Console", line: str) -> None:
    if line:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _score(value: object) -> str:
    score = measured(value)
    return "–" if score is None else f"{score:.3f}"


def _paths(store: FolderStore, run: str, results: Mapping[Stage, Mapping[str, Any]]) -> dict[str, str]:
    """Name what there is, as files that can be opened."""
    there = {"run": keys.run_folder(run), "logs": keys.logs(run)}
    if results["ingest"]:
        there["data_report"] = keys.data_report(results["ingest"]["dataset"], "html")
    if results["export"]:
        there["saved_model"] = keys.saved_model(run)
    if results["detect"]:
        there |= {"detections": keys.detections(run), "report": keys.report(run)}
    return {name: str(store.root / key) for name, key in there.items()}
