"""Changes of an installation's run, converted to the events of a local run."""

import json
import re
from collections.abc import Iterator

from slipway.errors import EXIT_BUG, EXIT_DONE, EXIT_INPUT
from slipway.run.pipeline import Phase, State
from slipway.text import seconds_between

from services.cli.remote.answers import FailureAnswer, Run, StageAnswer
from services.cli.remote.client import Api, Call, run_path
from services.cli.remote.errors import ApiRefused, printable
from services.cli.screen.console import display
from services.cli.screen.events import Event

_PROGRESS = re.compile(r"(\d+)/(\d+) (\w+)")
_NO_STAGE = StageAnswer()


def get_run(api: Api, name: str) -> Run:
    return api.answer(Run, Call("GET", run_path(name)))


def watch_run(api: Api, name: str, as_json: bool) -> Run:
    """Show a run until it ends, and return its last version."""
    run: Run | None = None
    with display(as_json) as show:
        for version in _versions(api, name):
            for event in changes(run, version):
                show(event)
                match event:
                    case {"event": "state", "state": state, "reason": reason} if not as_json:
                        print(f"{name}: {state}" + (f": {reason}" if reason else ""))
            run = version
    return run if run and run.is_final else get_run(api, name)


def changes(old_run: Run | None, run: Run) -> Iterator[Event]:
    """Compare two versions of a run, and yield the events that a local run would have for the changes."""
    old_status, status = old_run.status if old_run else None, run.status
    old_stages = old_run.stages if old_run else {}
    for name, stage in run.stages.items():
        yield from _stage_changes(name, old_stages.get(name, _NO_STAGE), stage)
    progress = _PROGRESS.fullmatch(status.progress)
    if status.stage and progress and not (old_status and old_status.progress == status.progress):
        done, total, unit = progress.groups()
        yield {"event": "progress", "stage": status.stage, "done": int(done), "total": int(total), "unit": unit}
    if status.best and not (old_status and old_status.best == status.best):
        yield {"event": "evaluated", "stage": "train", **status.best.json_content}
    if not (old_status and (old_status.state, old_status.reason) == (status.state, status.reason)):
        yield {"event": "state", "state": status.state, "reason": printable(status.reason)}


def exit_code(api: Api, run: Run) -> int:
    """Return the exit code that a local run with the same end would have; the failed stage has recorded it."""
    if run.state == State.SUCCEEDED:
        return EXIT_DONE
    failed_stages = [stage for stage, answer in run.stages.items() if answer.phase == Phase.FAILED]
    if run.state != State.FAILED or not failed_stages:
        return EXIT_INPUT
    path = run_path(run.name, f"/artifacts/{failed_stages[-1]}/failure.json")
    try:
        return api.answer(FailureAnswer, Call("GET", path)).code
    except ApiRefused:
        return EXIT_BUG


def ending(run: Run) -> str:
    """Return one line on the end of a run."""
    status = run.status
    if run.state == State.SUCCEEDED:
        return str(status.best or "done")
    stage = f"{status.stage}: " if status.stage else ""
    return f"{run.state.lower()}: {stage}{printable(status.reason or 'no reason is given')}"


def _versions(api: Api, name: str) -> Iterator[Run]:
    for event in api.follow(Call("GET", run_path(name, "/events"))):
        yield api.parse(Run, json.loads(event.data))


def _stage_changes(name: str, old_stage: StageAnswer, stage: StageAnswer) -> Iterator[Event]:
    if stage.phase == old_stage.phase:
        return
    if stage.phase == Phase.RUNNING:
        yield {"event": "stage_begun", "stage": name}
    if stage.phase in (Phase.DONE, Phase.FAILED):
        code = EXIT_DONE if stage.phase == Phase.DONE else EXIT_BUG
        seconds = seconds_between(stage.started_at, stage.finished_at) or 0.0
        yield {"event": "stage_over", "stage": name, "code": code, "duration_sec": seconds}
