"""The supervisor of a stage's processes: starts, watches, retries and stops them."""

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from slipway.errors import EXIT_DONE, EXIT_RETRY

from services.cli.local.process import ExitStatus, ManagedProcess, StageProcesses
from services.cli.screen.events import Show

EXIT_INTERRUPTED = 130
RETRY_WAITS_SEC = (1.0, 3.0, 9.0)  # an attempt has three more tries, as a Job's backoffLimit would give it
_LEAVE_SEC = 30.0  # for a process whose work is done, or that must stop because another has failed
_POLL_SEC = 0.05


@dataclass
class Interrupts:
    """Counts the user's requests to stop. A plain counter, since a signal handler must not take a lock."""

    count: int = 0

    @contextmanager
    def catch_signals(self) -> Iterator["Interrupts"]:
        """Count Ctrl-C and SIGTERM, which would otherwise end the command at once."""
        handlers = {number: signal.signal(number, self._count) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def _count(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1


def run_processes(stage: StageProcesses, show: Show, interrupts: Interrupts) -> ExitStatus:
    """Run a stage's processes to their end; retry transient failures a few times."""
    for wait in (*RETRY_WAITS_SEC, None):
        status = _run_once(stage, show, interrupts)
        if interrupts.count:
            return ExitStatus(EXIT_INTERRUPTED, status.reason)
        if status.code != EXIT_RETRY or wait is None:
            return status
        show({"event": "stage_retried", "stage": stage.stage, "reason": status.reason, "wait_sec": wait})
        _sleep(wait, interrupts)
    raise AssertionError("the last wait is None")


def _run_once(stage: StageProcesses, show: Show, interrupts: Interrupts) -> ExitStatus:
    """Run the processes once; when one fails, ask the others to stop."""
    processes: list[ManagedProcess] = []
    try:
        for spec in stage.specs:
            processes.append(ManagedProcess(spec, stage, show))
        return _watch(processes, interrupts)
    finally:
        _end_all(processes, interrupts, limit_sec=None if interrupts.count else _LEAVE_SEC)


def _watch(processes: list[ManagedProcess], interrupts: Interrupts) -> ExitStatus:
    """Wait until the work is done, or one process has failed for good, or the user asks to stop."""
    while not interrupts.count:
        # Polled once per round, since another may fail between two polls.
        statuses = [process.poll() for process in processes]
        for position, (process, status) in enumerate(zip(processes, statuses, strict=True)):
            if status is None or status.code == EXIT_DONE:
                continue
            if not _may_restart(process, status):
                return status
            processes[position] = _restart(process, status, interrupts)
        if all(status for process, status in zip(processes, statuses, strict=True) if not process.spec.is_sidecar):
            _await_end(processes, interrupts, _LEAVE_SEC)
            return ExitStatus(EXIT_DONE)
        time.sleep(_POLL_SEC)
    return _stop(processes, interrupts)


def _may_restart(process: ManagedProcess, status: ExitStatus) -> bool:
    return process.spec.is_sidecar and status.code == EXIT_RETRY and process.restarts < len(RETRY_WAITS_SEC)


def _restart(process: ManagedProcess, status: ExitStatus, interrupts: Interrupts) -> ManagedProcess:
    """Restart a sidecar without the other processes."""
    wait = RETRY_WAITS_SEC[process.restarts]
    event = {"event": "stage_retried", "stage": process.stage.stage, "reason": status.reason, "wait_sec": wait}
    process.show(event)
    process.close()
    _sleep(wait, interrupts)
    return ManagedProcess(process.spec, process.stage, process.show, process.restarts + 1)


def _stop(processes: list[ManagedProcess], interrupts: Interrupts) -> ExitStatus:
    """Ask all processes to stop, and give them time to save their work."""
    for process in processes:
        process.ask_to_stop()
    _await_end(processes, interrupts, limit_sec=None)
    statuses = [process.poll() for process in processes if not process.spec.is_sidecar]
    reasons = [status.reason for status in statuses if status]
    return ExitStatus(EXIT_INTERRUPTED, next(filter(None, reasons), ""))


def _end_all(processes: Sequence[ManagedProcess], interrupts: Interrupts, limit_sec: float | None) -> None:
    """Ask every process to stop; kill it when the time is up or the user interrupts a second time."""
    for process in processes:
        process.ask_to_stop()
    _await_end(processes, interrupts, limit_sec)
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.close()


def _await_end(processes: Sequence[ManagedProcess], interrupts: Interrupts, limit_sec: float | None) -> None:
    """Wait for the end of all processes, at most until the limit or a second Ctrl-C."""
    deadline = time.monotonic() + limit_sec if limit_sec is not None else None
    while any(process.poll() is None for process in processes):
        if interrupts.count > 1 or (deadline is not None and time.monotonic() > deadline):
            return
        time.sleep(_POLL_SEC)


def _sleep(seconds: float, interrupts: Interrupts) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not interrupts.count:
        time.sleep(_POLL_SEC)
