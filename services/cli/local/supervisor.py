"""The processes of a stage together: started, watched, tried again, stopped."""

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from slipway.errors import EXIT_DONE, EXIT_RETRY

from services.cli.local.process import Child, Crew, Ended, Show

EXIT_INTERRUPTED = 130
RETRY_WAITS_SEC = (1.0, 3.0, 9.0)  # an attempt has three more tries, as a Job's backoffLimit would give it
_LEAVE_SEC = 30.0  # for a process that has nothing left to do, or that was asked to stop because another failed
_POLL_SEC = 0.05


@dataclass
class Interrupts:
    """How often the user asked to stop. A plain counter: a lock must not be taken inside a signal handler."""

    count: int = 0

    @contextmanager
    def counted(self) -> Iterator["Interrupts"]:
        """Count Ctrl-C and SIGTERM instead of dying of them."""
        before = {number: signal.signal(number, self._count) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _count(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1


def run_crew(crew: Crew, show: Show, interrupts: Interrupts) -> Ended:
    """Run a stage's processes to their end; what may pass by itself is tried again a few times."""
    for wait in (*RETRY_WAITS_SEC, None):
        ended = _try(crew, show, interrupts)
        if interrupts.count:
            return Ended(EXIT_INTERRUPTED, ended.reason)
        if ended.code != EXIT_RETRY or wait is None:
            return ended
        show({"event": "stage_retried", "stage": crew.stage, "reason": ended.reason, "wait_sec": wait})
        _sleep(wait, interrupts)
    raise AssertionError("the last wait is None")


def _try(crew: Crew, show: Show, interrupts: Interrupts) -> Ended:
    """Run the processes once; when one fails, the others are asked to stop."""
    children: list[Child] = []
    try:
        for part in crew.parts:
            children.append(Child(part, crew, show))
        return _watch(children, interrupts)
    finally:
        _dismiss(children, interrupts, patience=None if interrupts.count else _LEAVE_SEC)


def _watch(children: list[Child], interrupts: Interrupts) -> Ended:
    """Wait until the work is done, or one process has failed for good, or the user asks to stop."""
    while not interrupts.count:
        ends = [child.ended() for child in children]  # asked once: a moment later another may have ended, and badly
        for position, (child, ended) in enumerate(zip(children, ends, strict=True)):
            if ended is None or ended.code == EXIT_DONE:
                continue
            if not (child.part.is_sidecar and ended.code == EXIT_RETRY and child.restarts < len(RETRY_WAITS_SEC)):
                return ended
            children[position] = _restarted(child, ended, interrupts)
        if all(ended for child, ended in zip(children, ends, strict=True) if not child.part.is_sidecar):
            _await(children, interrupts, _LEAVE_SEC)
            return Ended(EXIT_DONE)
        time.sleep(_POLL_SEC)
    return _stopped(children, interrupts)


def _restarted(child: Child, ended: Ended, interrupts: Interrupts) -> Child:
    """Start a sidecar again, alone."""
    wait = RETRY_WAITS_SEC[child.restarts]
    child.show({"event": "stage_retried", "stage": child.crew.stage, "reason": ended.reason, "wait_sec": wait})
    child.close()
    _sleep(wait, interrupts)
    return Child(child.part, child.crew, child.show, child.restarts + 1)


def _stopped(children: list[Child], interrupts: Interrupts) -> Ended:
    """Ask all to stop, and give them the time they need to save their work."""
    for child in children:
        child.ask_to_stop()
    _await(children, interrupts, patience=None)
    reasons = [ended.reason for child in children if (ended := child.ended()) and not child.part.is_sidecar]
    return Ended(EXIT_INTERRUPTED, next(filter(None, reasons), ""))


def _dismiss(children: Sequence[Child], interrupts: Interrupts, patience: float | None) -> None:
    """End every process: asked first, killed when patience or the user's is at its end."""
    for child in children:
        child.ask_to_stop()
    _await(children, interrupts, patience)
    for child in children:
        if child.ended() is None:
            child.kill()
        child.close()


def _await(children: Sequence[Child], interrupts: Interrupts, patience: float | None) -> None:
    """Wait for the end of all, but not past the patience in seconds nor past a second Ctrl-C."""
    deadline = time.monotonic() + patience if patience is not None else None
    while any(child.ended() is None for child in children):
        if interrupts.count > 1 or (deadline is not None and time.monotonic() > deadline):
            return
        time.sleep(_POLL_SEC)


def _sleep(seconds: float, interrupts: Interrupts) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not interrupts.count:
        time.sleep(_POLL_SEC)
