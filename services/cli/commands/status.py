"""`slipway status`: the runs of an installation, or one run with its stages, once or until it ends."""

import sys
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from slipway.errors import EXIT_DONE, SpecError

from services.cli.remote.answers import Run, RunPage
from services.cli.remote.client import Api, Call
from services.cli.remote.credentials import connect
from services.cli.remote.errors import printable
from services.cli.remote.run_events import ending, exit_code, get_run, watch_run
from services.cli.screen.console import print_json

if TYPE_CHECKING:
    from rich.table import Table

_PAGE = 100


def list_runs(limit: int, is_watched: bool, as_json: bool) -> int:
    """List the newest runs."""
    if is_watched:
        raise SpecError("--watch follows one run; name it: slipway status RUN --watch")
    runs = list(islice(_runs(connect()), limit))
    if as_json:
        print_json({"items": [run.json_content for run in runs]})
    elif runs:
        _print(_runs_table(runs))
    else:
        print("no runs")
    return EXIT_DONE


def show_run(name: str, is_watched: bool, as_json: bool) -> int:
    """Show one run: its stages, its progress, and its AP."""
    api = connect()
    if is_watched:
        return watch(api, name, as_json)
    run = get_run(api, name)
    if as_json:
        print_json(run.json_content)
        return EXIT_DONE
    reason = printable(run.status.reason)
    print(f"run {name}: {run.state}" + (f": {reason}" if reason and not run.is_final else ""))
    _print(_stages_table(run))
    if run.is_final:
        print(ending(run))
    elif run.status.best:
        print(f"best so far: {run.status.best}")
    return EXIT_DONE


def watch(api: Api, name: str, as_json: bool) -> int:
    """Follow a run to its end, and return the exit code that a local run with the same end would have."""
    run = watch_run(api, name, as_json)
    code = exit_code(api, run)
    if as_json:
        status = run.status.json_content or {}
        print_json({"event": "run_over", "run": name, "state": run.state, "code": code, "status": status})
    elif code == EXIT_DONE:
        print(f"{ending(run)}; fetch it with: slipway artifacts {name} --out DIR")
    else:
        print(ending(run), file=sys.stderr)
    return code


def _runs(api: Api) -> Iterator[Run]:
    """Yield all runs, the newest first, a page at a time."""
    next_page: str | None = None
    while True:
        page = api.answer(RunPage, Call("GET", "/v1/runs", {"limit": _PAGE, "page": next_page}))
        yield from page.items
        next_page = page.next
        if next_page is None:
            return


def _runs_table(runs: list[Run]) -> "Table":
    table = _table("run", "state", "stage", "progress", "AP50", "dataset", "created")
    for run in runs:
        status, best = run.status, run.status.best
        ap50 = f"{best.ap50:.3f}" if best else "–"
        words = [run.name, run.state, status.stage, status.progress, ap50]
        _add_row(table, *words, run.spec.dataset, run.metadata.created_at)
    return table


def _stages_table(run: Run) -> "Table":
    table = _table("stage", "phase", "attempt", "progress", "started", "finished", "reason")
    for name, stage in run.stages.items():
        progress = run.status.progress if name == run.status.stage else None
        times = (stage.started_at, stage.finished_at)
        _add_row(table, name, stage.phase, stage.attempt, progress, *times, stage.reason)
    return table


def _table(*columns: str) -> "Table":
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table(box=SIMPLE)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _add_row(table: "Table", *words: object) -> None:
    from rich.text import Text

    table.add_row(*(Text(printable(str(word)) if word is not None else "") for word in words))


def _print(table: "Table") -> None:
    from rich.console import Console

    Console().print(table)
