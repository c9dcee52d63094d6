"""The actions that change a run, and the states in which each is possible."""

from collections.abc import Callable
from enum import StrEnum

from slipway.errors import Conflict
from slipway.http.problems import Problem
from slipway.run.pipeline import State

from services.api.parameters import matches
from services.api.runs.listing import Runs
from services.api.runs.run_object import RunObject

_TRIES = 5  # the controller writes a status now and then; five writes in between were never seen

SpecChange = dict[str, bool | int]


class Action(StrEnum):
    CANCEL = "cancel"
    SUSPEND = "suspend"
    RESUME = "resume"
    RETRY = "retry"


def act(name: str, action: Action, if_match: str | None, runs: Runs) -> tuple[RunObject, bool]:
    """Change a run, unless somebody else changes it at the same time.

    Returns:
      The run, and whether it was changed: an action that has no effect leaves it as it is.

    Raises:
      Problem: 404; 409 where its state forbids the action; 412 where `if_match` does not match.
    """
    for _ in range(_TRIES):
        run = runs.find(name)
        if if_match is not None and not matches(run.etag, if_match):
            raise _precondition_failed(name)
        if run.version is None:
            raise Problem(409, f"{name} has ended and its object is gone; submit it again", "state-forbids")
        change = _CHANGES[action](run)
        if not change:
            return run, False
        try:
            manifest = runs.cluster.patch(name, {**change}, run.version)
        except Conflict as error:
            if if_match is not None:
                raise _precondition_failed(name) from error
            continue
        if manifest is not None:
            return RunObject(manifest), True
    raise Problem(503, f"{name} changes all the time; try again", "unavailable", headers={"Retry-After": "1"})


def possible_actions(run: RunObject) -> list[Action]:
    """List the actions that would change the run."""
    return [action for action in Action if run.version is not None and _would_change(action, run)]


def _would_change(action: Action, run: RunObject) -> bool:
    try:
        return bool(_CHANGES[action](run))
    except Problem:
        return False


def _precondition_failed(name: str) -> Problem:
    return Problem(412, f"{name} has changed since; read it again", "changed")


def _cancel(run: RunObject) -> SpecChange:
    if run.spec.cancel:
        return {}
    _refuse_if_over(run, "there is nothing to cancel")
    return {"cancel": True}


def _suspend(run: RunObject) -> SpecChange:
    _refuse_if_over(run, "there is nothing to suspend")
    if run.spec.cancel:
        raise _forbidden(run, "it is being canceled")
    return {} if run.spec.suspend else {"suspend": True}


def _resume(run: RunObject) -> SpecChange:
    _refuse_if_over(run, "there is nothing to resume")
    return {"suspend": False} if run.spec.suspend else {}


def _retry(run: RunObject) -> SpecChange:
    """Request one more attempt; a cancel or a suspend was meant for the failed one, and is taken back."""
    if run.state is not State.FAILED:
        raise _forbidden(run, "only a run that has failed is started again")
    if not run.is_over:
        raise _forbidden(run, f"attempt {run.spec.attempt} has been asked for already")
    return {"attempt": run.spec.attempt + 1, "cancel": False, "suspend": False}


_CHANGES: dict[Action, Callable[[RunObject], SpecChange]] = {
    Action.CANCEL: _cancel,
    Action.SUSPEND: _suspend,
    Action.RESUME: _resume,
    Action.RETRY: _retry,
}


def _refuse_if_over(run: RunObject, reason: str) -> None:
    if run.is_over:
        raise _forbidden(run, reason)


def _forbidden(run: RunObject, reason: str) -> Problem:
    return Problem(409, f"{run.name} is {run.state}: {reason}", "state-forbids")
