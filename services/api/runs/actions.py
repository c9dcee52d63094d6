"""What may be done to a run, and when."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any

from slipway.errors import Conflict
from slipway.http.problems import Problem
from slipway.kube.objects import KubernetesObject
from slipway.run.pipeline import State

from services.api.parameters import matches
from services.api.runs.listing import Runs, attempts_asked, etag, is_over, state_of

_TRIES = 5  # the controller writes a status now and then; that five come in between has not been seen


class Action(StrEnum):
    CANCEL = "cancel"
    SUSPEND = "suspend"
    RESUME = "resume"
    RETRY = "retry"


def act(name: str, action: Action, if_match: str | None, runs: Runs) -> tuple[KubernetesObject, bool]:
    """Change the run as it was seen, and not otherwise.

    Returns:
      The run, and whether it was changed: what is so already is left as it is.

    Raises:
      Problem: 404; 409 where its state forbids it; 412 where it is not what `if_match` says.
    """
    for _ in range(_TRIES):
        found = runs.find(name)
        if if_match is not None and not matches(etag(found), if_match):
            raise _changed(name)
        if "resourceVersion" not in found["metadata"]:
            raise Problem(409, f"{name} has ended and its object is gone; submit it again", "state-forbids")
        spec = _CHANGES[action](found)
        if not spec:
            return found, False
        try:
            patched = runs.cluster.patch(name, spec, found["metadata"]["resourceVersion"])
        except Conflict as error:
            if if_match is not None:
                raise _changed(name) from error
            continue
        if patched is not None:
            return patched, True
    raise Problem(503, f"{name} changes all the time; try again", "unavailable", headers={"Retry-After": "1"})


def possible(found: KubernetesObject) -> list[Action]:
    """List the actions that would change the run."""
    return [action for action in Action if "resourceVersion" in found["metadata"] and _would_change(action, found)]


def _would_change(action: Action, found: KubernetesObject) -> bool:
    try:
        return bool(_CHANGES[action](found))
    except Problem:
        return False


def _changed(name: str) -> Problem:
    return Problem(412, f"{name} has changed since; read it again", "changed")


def _cancel(found: KubernetesObject) -> dict[str, Any]:
    if found["spec"].get("cancel"):
        return {}
    _refuse_if_over(found, "there is nothing to cancel")
    return {"cancel": True}


def _suspend(found: KubernetesObject) -> dict[str, Any]:
    _refuse_if_over(found, "there is nothing to suspend")
    if found["spec"].get("cancel"):
        raise _forbidden(found, "it is being canceled")
    return {} if found["spec"].get("suspend") else {"suspend": True}


def _resume(found: KubernetesObject) -> dict[str, Any]:
    _refuse_if_over(found, "there is nothing to resume")
    return {"suspend": False} if found["spec"].get("suspend") else {}


def _retry(found: KubernetesObject) -> dict[str, Any]:
    """Ask for one more attempt; what was asked of the failed one, to be canceled or to wait, is not asked of it."""
    if state_of(found) is not State.FAILED:
        raise _forbidden(found, "only a run that has failed is started again")
    if not is_over(found):
        raise _forbidden(found, f"attempt {attempts_asked(found)} has been asked for already")
    return {"attempt": attempts_asked(found) + 1, "cancel": False, "suspend": False}


_CHANGES: dict[Action, Callable[[KubernetesObject], dict[str, Any]]] = {
    Action.CANCEL: _cancel,
    Action.SUSPEND: _suspend,
    Action.RESUME: _resume,
    Action.RETRY: _retry,
}


def _refuse_if_over(found: KubernetesObject, why: str) -> None:
    if is_over(found):
        raise _forbidden(found, why)


def _forbidden(found: KubernetesObject, why: str) -> Problem:
    return Problem(409, f"{found['metadata']['name']} is {state_of(found)}: {why}", "state-forbids")
