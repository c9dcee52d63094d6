"""The audit log: one event for each change that a user makes, or is refused."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from fastapi import Request

from slipway.errors import SlipwayError
from slipway.events import event
from slipway.http.problems import Problem
from slipway.http.tokens import User


@dataclass
class AuditRecord:
    """Target and outcome of one change; a route may correct both while it makes the change.

    Attributes:
      target: Name of the changed object, such as a run.
      outcome: `done`, `unchanged`, or the reason of a refusal.
    """

    target: str
    outcome: str = "done"


@contextmanager
def audit(request: Request, action: str, target: str = "") -> Iterator[AuditRecord]:
    """Log the outcome of the change that is made inside the `with` block."""
    record = AuditRecord(target)
    try:
        yield record
    except Problem as problem:
        record.outcome = problem.kind or str(problem.status_code)
        raise
    except SlipwayError as error:
        record.outcome = type(error).__name__
        raise
    except BaseException:
        record.outcome = "unknown"
        raise
    finally:
        log_change(request, request.state.user, action, record)


def log_change(request: Request, user: User, action: str, record: AuditRecord) -> None:
    """Log one audit event."""
    event(
        "audit",
        user=user.name,
        role=user.role,
        action=action,
        target=record.target,
        outcome=record.outcome,
        request_id=request.state.request_id,
    )
