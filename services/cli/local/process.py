"""One process of a stage: its command line, the events that it logs, its exit status."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from slipway.errors import EXIT_DONE, EXIT_RETRY
from slipway.events import parse_event

from services.cli.screen.events import Show

_INTEGER = re.compile(r"-?(0|[1-9]\d{0,15})")
_FLOAT = re.compile(r"-?\d+(\.\d+(e[+-]\d+)?|e[+-]\d+)")
_MOST_LINES = 500  # enough for any traceback, and bounded


@dataclass(frozen=True)
class ProcessSpec:
    """One process of a stage, as it is to be started.

    Attributes:
      is_sidecar: It works beside the others: it is restarted alone, and ends after them.
    """

    module: str
    arguments: Sequence[str] = ()
    index: int = 0
    is_sidecar: bool = False

    @property
    def name(self) -> str:
        return f"{self.module.rpartition('.')[2]}-{self.index}"


@dataclass(frozen=True)
class StageProcesses:
    """The processes of one stage, and their surroundings.

    Attributes:
      environment: Variables on top of the runner's own.
      scratch: An existing folder.
      pass_fds: Descriptors that stay open in the processes.
    """

    stage: str
    specs: Sequence[ProcessSpec]
    environment: dict[str, str]
    scratch: Path
    pass_fds: tuple[int, ...] = ()


@dataclass(frozen=True)
class ExitStatus:
    """The end of a process, or of a stage's processes together.

    Attributes:
      output: The last lines that are not events: what a crash printed before or outside of any log.
    """

    code: int
    reason: str = ""
    output: Sequence[str] = ()


def command_line(spec: ProcessSpec) -> list[str]:
    """Return the command line of one process; without `-P` a folder `services` in the current folder would win."""
    return [sys.executable, "-P", "-m", spec.module, *spec.arguments]


@dataclass
class ManagedProcess:
    """One live process, in a session of its own, so that the terminal's Ctrl-C reaches the runner alone.

    The runner holds the other end of the process's standard input: if the runner is killed, the process sees that end.

    Attributes:
      restarts: The number of earlier starts.
      error: The last error that its events named.
      output: Its last lines that are not events.
    """

    spec: ProcessSpec
    stage: StageProcesses
    show: Show
    restarts: int = 0
    error: str = ""
    output: deque[str] = field(default_factory=lambda: deque(maxlen=_MOST_LINES))

    def __post_init__(self) -> None:
        self._reason_file = self.stage.scratch / f"{self.spec.name}.reason"
        self._reason_file.unlink(missing_ok=True)
        variables = {"JOB_COMPLETION_INDEX": str(self.spec.index), "SLIPWAY_TERMINATION_LOG": str(self._reason_file)}
        self._process = subprocess.Popen(  # noqa: S603 (the program is this Python, the module one of ours)
            command_line(self.spec),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **self.stage.environment, **variables, "SLIPWAY_LOG_FORMAT": "text"},
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
            pass_fds=self.stage.pass_fds,
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def poll(self) -> ExitStatus | None:
        """Return the exit status, or None while the process lives."""
        code = self._process.poll()
        if code is None:
            return None
        self._listener.join(timeout=1.0)
        return ExitStatus(EXIT_RETRY if code < 0 else code, self._reason(code), tuple(self.output))

    def ask_to_stop(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        """End the process and every process that it started."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Wait for the end, and leave nothing of the process behind."""
        self._process.wait()
        self.kill()
        self._listener.join(timeout=5.0)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            if fields := parse_event(line.rstrip("\n")):
                event = {key: _parse_value(value) for key, value in fields.items()}
                self.error = fields.get("error", self.error)
                with suppress(OSError):  # nobody reads the output any more; the work goes on
                    self.show({**event, "index": self.spec.index})
            else:
                self.output.append(line.rstrip("\n"))

    def _reason(self, code: int) -> str:
        if code == EXIT_DONE:
            return ""
        if code < 0:
            name = signal.Signals(-code).name
            return f"{self.spec.module} was killed by {name}; for want of memory, if nobody else did it"
        with suppress(OSError):
            if reason := self._reason_file.read_text():  # empty where the disk is full
                return reason
        last = next((line.strip() for line in reversed(self.output) if line.strip()), "it said nothing")
        return self.error or f"{self.spec.module} ended with code {code}: {last}"


def _parse_value(text: str) -> str | int | float:
    """Read a number as the log writes one; what only looks similar, such as a digest, stays text."""
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
