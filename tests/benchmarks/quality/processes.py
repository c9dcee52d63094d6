"""Commands of the quality benchmark as processes, with their wall time and processor time."""

import os
import subprocess
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_LAST_LINES = 15  # of a failed command's log


class CommandFailed(RuntimeError):
    """A command of the benchmark ended with an error; the message has the end of its log."""


@dataclass(frozen=True)
class Usage:
    """Time that a command took.

    Attributes:
      cpu_sec: User and system time of the process and of all descendants that were waited for.
    """

    wall_sec: float
    cpu_sec: float


def run_command(
    words: Sequence[str | Path], folder: Path, log: Path, variables: Mapping[str, str] | None = None
) -> Usage:
    """Run a command to its end, its output in the log.

    Args:
      folder: The working folder.
      variables: Environment variables to set besides those of this process.

    Raises:
      CommandFailed: It ended with another code than 0.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    environment, started_at = os.environ | (variables or {}), time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(word) for word in words], cwd=folder, env=environment, stdout=output, stderr=output
        )
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.terminate()  # the stages of a run stop, too, and are waited for
            process.wait()
            raise
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        with log.open(errors="replace") as file:
            end = "".join(deque(file, _LAST_LINES))
        raise CommandFailed(f"{' '.join(map(str, words))} ended with {process.returncode}; the end of {log}:\n{end}")
    return Usage(round(time.monotonic() - started_at, 1), round(usage.ru_utime + usage.ru_stime, 1))
