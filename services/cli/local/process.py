"""One process of a stage: what it is told, what is heard of it, how it ended."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slipway.errors import EXIT_DONE, EXIT_RETRY
from slipway.events import parse_event

_INTEGER = re.compile(r"-?(0|[1-9]\d{0,15})")
_FLOAT = re.compile(r"-?\d+(\.\d+(e[+-]\d+)?|e[+-]\d+)")
_KEPT_LINES = 500  # enough for any traceback, and bounded

Event = dict[str, Any]
Show = Callable[[Event], None]


@dataclass(frozen=True)
class Part:
    """One process of a stage.

    Attributes:
      is_sidecar: It works beside the others: it is started again alone, and leaves after them.
    """

    module: str
    arguments: Sequence[str] = ()
    index: int = 0
    is_sidecar: bool = False

    @property
    def name(self) -> str:
        return f"{self.module.rpartition('.')[2]}-{self.index}"


@dataclass(frozen=True)
class Crew:
    """Everything that the processes of one stage need.

    Attributes:
      environment: On top of the runner's own.
      scratch: A folder that is there.
      pass_fds: Descriptors that stay open in the processes.
    """

    stage: str
    parts: Sequence[Part]
    environment: dict[str, str]
    scratch: Path
    pass_fds: tuple[int, ...] = ()


@dataclass(frozen=True)
class Ended:
    """How a process, or a stage's processes together, ended.

    Attributes:
      output: The last lines that were no events: what a crash said before or outside of any log.
    """

    code: int
    reason: str = ""
    output: Sequence[str] = ()


def command(part: Part) -> list[str]:
    """Return the command line of one process; without `-P` a folder `services` where the user stands would win."""
    return [sys.executable, "-P", "-m", part.module, *part.arguments]


@dataclass
class Child:
    """One live process, in a session of its own, so that the terminal's Ctrl-C reaches the runner alone.

    It holds the other end of the process's standard input: should the runner be killed, the process sees that end.

    Attributes:
      restarts: How often it was started before.
      error: The last that its events named.
      output: Its last lines that were no events.
    """

    part: Part
    crew: Crew
    show: Show
    restarts: int = 0
    error: str = ""
    output: deque[str] = field(default_factory=lambda: deque(maxlen=_KEPT_LINES))

    def __post_init__(self) -> None:
        self._reason = self.crew.scratch / f"{self.part.name}.reason"
        self._reason.unlink(missing_ok=True)
        own = {"JOB_COMPLETION_INDEX": str(self.part.index), "SLIPWAY_TERMINATION_LOG": str(self._reason)}
        self._process = subprocess.Popen(  # noqa: S603 (the program is this Python, the module one of ours)
            command(self.part),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **self.crew.environment, **own, "SLIPWAY_LOG_FORMAT": "text"},
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
            pass_fds=self.crew.pass_fds,
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def ended(self) -> Ended | None:
        """Say how the process ended; None while it lives."""
        code = self._process.poll()
        if code is None:
            return None
        self._listener.join(timeout=1.0)
        return Ended(EXIT_RETRY if code < 0 else code, self._why(code), tuple(self.output))

    def ask_to_stop(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        """End the process and whatever it started."""
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
                event = {key: _typed(value) for key, value in fields.items()}
                self.error = fields.get("error", self.error)
                with suppress(OSError):  # whoever watched is gone; the work goes on
                    self.show({**event, "index": self.part.index})
            else:
                self.output.append(line.rstrip("\n"))

    def _why(self, code: int) -> str:
        if code == EXIT_DONE:
            return ""
        if code < 0:
            name = signal.Signals(-code).name
            return f"{self.part.module} was killed by {name}; for want of memory, if nobody else did it"
        with suppress(OSError):
            if reason := self._reason.read_text():  # empty where the disk is full
                return reason
        last = next((line.strip() for line in reversed(self.output) if line.strip()), "it said nothing")
        return self.error or f"{self.part.module} ended with code {code}: {last}"


def _typed(text: str) -> str | int | float:
    """Read a number as the log writes one; what only looks similar, such as a digest, stays text."""
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
