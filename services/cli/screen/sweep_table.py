"""The result of a sweep, as a table of its runs or as one JSON object."""

from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

from slipway import keys
from slipway.artifacts.sweep import Sweep, SweepRun, SweepWinner
from slipway.text import format_duration, format_value

from services.cli.local.supervisor import EXIT_INTERRUPTED
from services.cli.screen.console import print_json
from services.cli.screen.event_lines import key_text, values_text
from services.cli.screen.tables import new_table, plain_text, print_line, score_text

if TYPE_CHECKING:
    from rich.table import Table

_ENDINGS = {"pruned": "stopped early", "done": "trained"}


def print_sweep(sweep: Sweep, code: int, root: Path | None, as_json: bool) -> None:
    """Print the runs, the best first, and the metrics of the chosen one on test.

    Args:
      code: The exit code of the command.
      root: The folder of the runs; None if they are in an installation.
    """
    if as_json:
        report = str(root / keys.report(sweep.winner.run)) if root and sweep.winner else None
        print_json({"event": "sweep_over", "code": code, "report": report, **sweep.content()})
        return
    from rich.console import Console

    console = Console()
    console.print(_runs_table(sweep))
    for line in _lines(sweep, code, root):
        print_line(console, line)


def _runs_table(sweep: Sweep) -> "Table":
    """Return a table with a row for each run, and a column for each key whose values differ."""
    all_values = [run.values for run in sweep.runs]
    varied_keys = [key for key in all_values[0] if any(v[key] != all_values[0][key] for v in all_values)]
    has_seeds = any(run.seed is not None for run in sweep.runs)
    columns = [*map(key_text, varied_keys), *(["seed", "mean AP"] if has_seeds else [])]
    table = new_table("run", *columns, "AP on val", "AP50 on val", "time", "end", title=f"sweep {sweep.name}")
    for run in sorted(sweep.runs, key=lambda run: -2.0 if run.ap is None else run.ap, reverse=True):
        words = [format_value(run.values[key]) for key in varied_keys]
        words += [str(run.seed), score_text(_mean_ap(sweep, run.values))] if has_seeds else []
        scores = [score_text(value) if value is not None else "–" for value in (run.ap, run.ap50)]
        table.add_row(run.run, *map(plain_text, words), *scores, format_duration(run.duration_sec), _ending(sweep, run))
    return table


def _mean_ap(sweep: Sweep, values: Mapping[str, Any]) -> float:
    """Return the mean over the seeds of the same values; -1 without any."""
    aps = [run.ap for run in sweep.runs if run.values == values and run.ap is not None]
    return mean(aps) if aps else -1.0


def _ending(sweep: Sweep, run: SweepRun) -> str:
    if sweep.winner and sweep.winner.run == run.run:
        return "chosen"
    return _ENDINGS.get(run.state, run.state)


def _lines(sweep: Sweep, code: int, root: Path | None) -> list[str]:
    lines = [*sweep.notes]
    lines += [f"{run.run} failed: {run.reason}" for run in sweep.runs if run.state == "failed"]
    if pruned_count := sweep.count("pruned"):
        lines.append(f"{pruned_count} of {len(sweep.runs)} runs were stopped early")
    if code == EXIT_INTERRUPTED:
        lines.append("stopped; run the same command again to carry on")
    if sweep.winner:
        lines += _winner_lines(sweep, sweep.winner)
        if root:
            lines.append(f"to finish another run: slipway run -f {root / keys.run('RUN')} --out {root}")
            report = root / keys.report(sweep.winner.run)
            lines += [f"report: {report}"] if report.exists() else []
    return lines


def _winner_lines(sweep: Sweep, winner: SweepWinner) -> list[str]:
    (run,) = [run for run in sweep.runs if run.run == winner.run]
    metrics, split = winner.checkpoint.metrics, winner.checkpoint.split
    return [
        f"chosen on val: {values_text(run.values)}, run {run.run}",
        f"AP50 {score_text(metrics.ap50)}, AP {score_text(metrics.ap)} on {winner.images} {split} images, "
        "which took no part in the choice: the figures to trust",
    ]
