"""Runs of an installation: submit them, see how they stand, tell them to stop or to go on."""

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from slipway.digests import sha256_json
from slipway.errors import EXIT_DONE, InputError, SpecError
from slipway.retry import with_retries

from services.cli.remote.client import Api, Call, Run, run_path
from services.cli.remote.credentials import api
from services.cli.remote.errors import ApiRefused, plain
from services.cli.remote.run_events import ending, exit_code, get_run, is_final, stages, state, status, watch
from services.cli.screen.console import print_json

if TYPE_CHECKING:
    from rich.table import Table

_CREATED = 201
_PAGE = 100


@dataclass(frozen=True)
class Submission:
    """What `slipway submit` was given.

    Attributes:
      name: Of the run; the file's when absent, or else the server makes one.
      key: Idempotency key; made from the file's content and the user when absent.
    """

    file: Path
    name: str | None = None
    key: str | None = None


def submit(asked: Submission, watched: bool, as_json: bool) -> int:
    """Ask for a run; asked twice with the same content, it is one run."""
    body = read_body(asked)
    key = asked.key or sha256_json([os.getuid(), body])
    there = api()
    call = Call("POST", "/v1/runs", body=body, headers={"Idempotency-Key": key})
    code, run = with_retries(lambda: there.json_once(call), there.patience())
    name = run["metadata"]["name"]
    if not as_json:
        print(f"run {name}" + ("" if code == _CREATED else f" was submitted before; it is {state(run)}"))
    if watched:
        return _watched(there, name, as_json)
    if as_json:
        print_json(run)
    elif code == _CREATED:
        print(f"follow it with: slipway status {name} --watch")
    return EXIT_DONE


def read_body(asked: Submission) -> dict[str, Any]:
    """Read a run file, and lay the name over it; the server checks everything else.

    Raises:
      InputError: The file cannot be read.
      SpecError: It is no YAML with an object in it, or its source is a folder that the server does not have.
    """
    try:
        body = yaml.safe_load(asked.file.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{asked.file}: cannot be read as text: {error}") from error
    except yaml.YAMLError as error:
        raise SpecError(f"{asked.file}: not YAML: {error}") from error
    try:
        body = json.loads(json.dumps(body, default=str, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise SpecError(f"{asked.file}: holds what JSON cannot say: {error}") from error
    if not isinstance(body, dict):
        raise SpecError(f"{asked.file}: no TrainingRun; expected apiVersion, kind, metadata and spec")
    if asked.name:
        given = body.get("metadata")
        body["metadata"] = (given if isinstance(given, dict) else {}) | {"name": asked.name}
    _check_source(body, asked.file)
    return body


def show_runs(limit: int, watched: bool, as_json: bool) -> int:
    """List the newest runs."""
    if watched:
        raise SpecError("--watch follows one run; name it: slipway status RUN --watch")
    runs = list(islice(_runs(api()), limit))
    if as_json:
        print_json({"items": runs})
    elif runs:
        _print(_runs_table(runs))
    else:
        print("no runs")
    return EXIT_DONE


def show_run(name: str, watched: bool, as_json: bool) -> int:
    """Show one run: its stages, how far it is, and its AP."""
    there = api()
    if watched:
        return _watched(there, name, as_json)
    run = get_run(there, name)
    if as_json:
        print_json(run)
        return EXIT_DONE
    is_ = status(run)
    reason = plain(is_.get("reason") or "")
    print(f"run {name}: {state(run)}" + (f": {reason}" if reason and not is_final(run) else ""))
    _print(_stages_table(run))
    if is_final(run):
        print(ending(run))
    elif best := is_.get("best"):
        print(f"best so far: AP50 {best['AP50']:.3f}, AP {best['AP']:.3f}, step {best['step']}")
    return EXIT_DONE


def act(name: str, verb: str, as_json: bool) -> int:
    """Tell a run to cancel, suspend, resume or retry."""
    there = api()
    before = get_run(there, name)
    try:
        run = there.json(Call("POST", run_path(name, f":{verb}")))
    except ApiRefused as refused:
        # After a break a retry is asked for a second time; the server refuses that, but the first has been heard.
        run = get_run(there, name) if verb == "retry" and refused.status == 409 else before
        if run["spec"].get("attempt", 1) == before["spec"].get("attempt", 1):
            raise
    if as_json:
        print_json(run)
    else:
        print(f"run {name}: {verb} is asked for; it is {state(run)}")
    return EXIT_DONE


def _runs(there: Api) -> Iterator[Run]:
    """Yield all runs, the newest first, a page at a time."""
    page: str | None = None
    while True:
        answer = there.json(Call("GET", "/v1/runs", {"limit": _PAGE, "page": page}))
        yield from answer["items"]
        page = answer.get("next")
        if page is None:
            return


def _watched(there: Api, name: str, as_json: bool) -> int:
    run = watch(there, name, as_json)
    code = exit_code(there, run)
    if as_json:
        print_json({"event": "run_over", "run": name, "state": state(run), "code": code, "status": status(run)})
    elif code == EXIT_DONE:
        print(f"{ending(run)}; fetch it with: slipway artifacts {name} --out DIR")
    else:
        print(ending(run), file=sys.stderr)
    return code


def _check_source(body: dict[str, Any], file: Path) -> None:
    spec = body.get("spec")
    dataset = spec.get("dataset") if isinstance(spec, dict) else None
    source = dataset.get("source") if isinstance(dataset, dict) else None
    if isinstance(source, str) and "://" not in source:
        raise SpecError(
            f"{file}: spec.dataset.source {source!r} is a folder of this machine; send it with "
            f"`slipway dataset push {source}`, and name what that prints as spec.dataset.ref instead"
        )


def _runs_table(runs: list[Run]) -> "Table":
    table = _table("run", "state", "stage", "progress", "AP50", "dataset", "created")
    for run in runs:
        is_, dataset = status(run), run["spec"]["dataset"]
        best = is_.get("best") or {}
        ap50 = f"{best['AP50']:.3f}" if best else "–"
        words = [run["metadata"]["name"], state(run), is_.get("stage"), is_.get("progress"), ap50]
        shown = dataset.get("ref") or dataset.get("name") or dataset.get("source")
        _row(table, *words, shown and shown.partition("@")[0], run["metadata"].get("createdAt"))
    return table


def _stages_table(run: Run) -> "Table":
    is_ = status(run)
    table = _table("stage", "phase", "attempt", "progress", "started", "finished", "reason")
    for stage, unit in stages(run).items():
        progress = is_.get("progress") if stage == is_.get("stage") else None
        times = (unit.get("startedAt"), unit.get("finishedAt"))
        _row(table, stage, unit.get("phase"), unit.get("attempt"), progress, *times, unit.get("reason"))
    return table


def _table(*columns: str) -> "Table":
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table(box=SIMPLE)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _row(table: "Table", *words: object) -> None:
    from rich.text import Text

    table.add_row(*(Text(plain(str(word)) if word is not None else "") for word in words))


def _print(table: "Table") -> None:
    from rich.console import Console

    Console().print(table)
