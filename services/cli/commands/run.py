"""`slipway run`: every stage of a run on this machine."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slipway import keys
from slipway.errors import SpecError
from slipway.store.folder import FolderStore

from services.cli.local.run_request import FIELDS, RunRequest, training_run
from services.cli.local.runner import run_local
from services.cli.screen.console import display, print_json
from services.cli.screen.summary import RunSummary, failure_lines, print_success, summarize


def run_with_options(options: Mapping[str, Any]) -> int:
    """Run with the command's parameters, by their names, and return the exit code."""
    spec_options = {option: options[option] for option in FIELDS}
    request = RunRequest(options["folder"], spec_options, options["name"], options["file"])
    if options["learning_curve"]:
        from services.cli.commands.learning_curve import learning_curve

        return learning_curve(request, options["out"], options["as_json"])
    return run(request, options["out"], options["as_json"])


def run(request: RunRequest, out: Path, as_json: bool) -> int:
    """Bring a run to its end, print its summary, and return the exit code."""
    return print_summary(run_stages(request, out, as_json), as_json)


def run_stages(request: RunRequest, out: Path, as_json: bool) -> RunSummary:
    """Run the stages in the folder `out`, show their events, and return the summary."""
    if out.exists() and not out.is_dir():
        raise SpecError(f"--out {out} is a file; give a folder")
    wanted_run = training_run(request, out)
    name, store = wanted_run.metadata.name, FolderStore(out.absolute())
    with display(as_json) as show:
        show({"event": "run_begun", "run": name, "folder": str(store.root / keys.run_folder(name))})
        outcome = run_local(wanted_run, store, show)
    return summarize(store, name, wanted_run.spec, outcome)


def print_summary(summary: RunSummary, as_json: bool) -> int:
    """Print the summary, as JSON or as text, and return the exit code."""
    if as_json:
        print_json(summary.event())
    elif summary.is_done:
        print_success(summary)
    else:
        print("\n".join(failure_lines(summary)), file=sys.stderr)
    return summary.outcome.code
