"""Who changed what: one event for each change, also for one that was refused."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from fastapi import Request

from slipway.errors import SlipwayError
from slipway.events import event
from slipway.http.problems import Problem
from slipway.http.tokens import User


@dataclass
class Note:
    """What the event will say; the change itself may know better what came of it, and of what.

    Attributes:
      target: What was changed, such as a run's name.
      outcome: `done`, `unchanged`, or why it was refused.
    """

    target: str
    outcome: str = "done"


@contextmanager
def audited(request: Request, action: str, target: str = "") -> Iterator[Note]:
    """Log what comes of the change that is made inside."""
    note = Note(target)
    try:
        yield note
    except Problem as problem:
        note.outcome = problem.kind or str(problem.status_code)
        raise
    except SlipwayError as error:
        note.outcome = type(error).__name__
        raise
    except BaseException:
        note.outcome = "unknown"
        raise
    finally:
        tell(request, request.state.user, action, note)


def tell(request: Request, user: User, action: str, note: Note) -> None:
    """Log one event."""
    event(
        "audit",
        user=user.name,
        role=user.role,
        action=action,
        target=note.target,
        outcome=note.outcome,
        request_id=request.state.request_id,
    )
