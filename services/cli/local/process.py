"""One process of a stage: its command line, its events and its exit status."""

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
    """The specification of one process of a stage.

    Attributes:
      is_sidecar: Whether it accompanies the main process: it is restarted alone, and stopped last.
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
    """The processes of one stage, and their environment.

    Attributes:
      environment: Environment variables in addition to the runner's own.
      scratch: An existing folder for temporary files.
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
      output: The last lines that are not events, such as those that a crash printed outside the log.
    """

    code: int
    reason: str = ""
    output: Sequence[str] = ()


def command_line(spec: ProcessSpec) -> list[str]:
    """Return the command line; without `-P`, Python would prefer a folder `services` in the current folder."""
    return [sys.executable, "-P", "-m", spec.module, *spec.arguments]


@dataclass
class ManagedProcess:
    """A running process, in a session of its own, so that the terminal's Ctrl-C reaches only the runner.

    The runner holds the other end of the process's standard input: if the runner is killed, standard input ends.

    Attributes:
      restarts: The number of earlier starts.
      error: The last error among its events.
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
        self._process = subprocess.Popen(  # noqa: S603 (this Python runs one of our modules)
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
        """Kill the process and every process that it started."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Wait for the end of the process, and release its resources."""
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
                with suppress(OSError):  # the reader of the output is gone; the work continues
                    self.show({**event, "index": self.spec.index})
            else:
                self.output.append(line.rstrip("\n"))

    def _reason(self, code: int) -> str:
        if code == EXIT_DONE:
            return ""
        if code < 0:
            name = signal.Signals(-code).name
            return f"{self.spec.module} was killed by {name}; probably for lack of memory, unless somebody killed it"
        with suppress(OSError):
            if reason := self._reason_file.read_text():  # empty where the disk is full
                return reason
        last = next((line.strip() for line in reversed(self.output) if line.strip()), "it said nothing")
        return self.error or f"{self.spec.module} ended with code {code}: {last}"


def _parse_value(text: str) -> str | int | float:
    """Parse a number as the log writes it; text that only resembles one, such as a digest, stays text."""
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
