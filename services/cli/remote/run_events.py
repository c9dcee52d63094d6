"""A run that goes on elsewhere, shown as one that goes on here: what changed in it becomes events."""

import json
import re
from collections.abc import Iterator
from typing import Any

from slipway.errors import EXIT_BUG, EXIT_DONE, EXIT_INPUT
from slipway.run.names import STAGES
from slipway.run.pipeline import State
from slipway.text import seconds_between

from services.cli.remote.client import Api, Call, Run, run_path
from services.cli.remote.errors import ApiRefused, plain
from services.cli.screen.console import display
from services.cli.screen.events import Event

_PROGRESS = re.compile(r"(\d+)/(\d+) (\w+)")


def get_run(api: Api, name: str) -> Run:
    found: Run = api.json(Call("GET", run_path(name)))
    return found


def status(run: Run) -> dict[str, Any]:
    """Return how a run stands; a run that the controller has not seen yet has no status."""
    found: dict[str, Any] = run.get("status") or {}
    return found


def state(run: Run) -> str:
    return str(status(run).get("state", State.PENDING))


def is_final(run: Run) -> bool:
    return state(run) in (State.SUCCEEDED, State.FAILED, State.CANCELED)


def watch(api: Api, name: str, as_json: bool) -> Run:
    """Show a run until it ends, and return it as it ended."""
    run: Run = {}
    with display(as_json) as show:
        for now in _versions(api, name):
            for event in changes(run, now):
                show(event)
                if event["event"] == "state" and not as_json:
                    print(f"{name}: {event['state']}" + (f": {event['reason']}" if event["reason"] else ""))
            run = now
    return run if is_final(run) else get_run(api, name)


def stages(run: Run) -> dict[str, Any]:
    """Return what is known of each stage, in their order: the cluster keeps them by the alphabet."""
    found = status(run).get("stages") or {}
    return {stage: found[stage] for stage in STAGES if stage in found}


def changes(before: Run, now: Run) -> Iterator[Event]:
    """Say what is new in a run, in the words of a local run's events."""
    was, is_ = status(before), status(now)
    for stage, unit in stages(now).items():
        earlier = stages(before).get(stage, {})
        yield from _stage_changes(stage, earlier, unit)
    current = is_.get("stage")
    if current and (found := _PROGRESS.fullmatch(is_.get("progress") or "")) and was.get("progress") != found[0]:
        yield {"event": "progress", "stage": current, "done": int(found[1]), "total": int(found[2]), "unit": found[3]}
    if (best := is_.get("best")) and best != was.get("best"):
        yield {"event": "evaluated", "stage": "train", **best}
    if (state(before), was.get("reason")) != (state(now), is_.get("reason")) or not before:
        yield {"event": "state", "state": state(now), "reason": plain(is_.get("reason") or "")}


def exit_code(api: Api, run: Run) -> int:
    """Return what the command would have left with, had the run been local: the failed stage has written it down."""
    if state(run) == State.SUCCEEDED:
        return EXIT_DONE
    failed = [stage for stage, unit in stages(run).items() if unit.get("phase") == "failed"]
    if state(run) != State.FAILED or not failed:
        return EXIT_INPUT
    try:
        return int(
            api.json(Call("GET", run_path(run["metadata"]["name"], f"/artifacts/{failed[-1]}/failure.json")))["code"]
        )
    except (ApiRefused, KeyError, TypeError, ValueError):
        return EXIT_BUG


def ending(run: Run) -> str:
    """Say in one line how a run ended."""
    is_, best = status(run), status(run).get("best")
    if state(run) == State.SUCCEEDED:
        return f"AP50 {best['AP50']:.3f}, AP {best['AP']:.3f}, step {best['step']}" if best else "done"
    where = f"{is_['stage']}: " if is_.get("stage") else ""
    return f"{state(run).lower()}: {where}{plain(is_.get('reason') or 'no reason is given')}"


def _versions(api: Api, name: str) -> Iterator[Run]:
    for event in api.follow(Call("GET", run_path(name, "/events"))):
        yield json.loads(event.data)


def _stage_changes(stage: str, before: dict[str, Any], now: dict[str, Any]) -> Iterator[Event]:
    was, phase = before.get("phase"), now.get("phase")
    if phase != was and phase == "running":
        yield {"event": "stage_begun", "stage": stage}
    if phase != was and phase in ("done", "failed"):
        code = EXIT_DONE if phase == "done" else EXIT_BUG
        yield {"event": "stage_over", "stage": stage, "code": code, "duration_sec": _seconds(now)}


def _seconds(unit: dict[str, Any]) -> float:
    return seconds_between(unit.get("startedAt"), unit.get("finishedAt")) or 0.0
