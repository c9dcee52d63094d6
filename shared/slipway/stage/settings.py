"""The environment of a stage's process, read once."""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from slipway.errors import SpecError


@dataclass(frozen=True)
class Settings:
    """The settings of a stage's process.

    Attributes:
      store: `SLIPWAY_STORE`: a folder, or `s3://bucket/prefix`.
      run: `SLIPWAY_RUN`: the run's name; everything else about it is in `run.json`.
      attempt: `SLIPWAY_ATTEMPT`: number of the stage's attempt, from 1; it only names logs.
      index: `JOB_COMPLETION_INDEX`: number of the worker of preprocess or of a training, from 0, as an Indexed
        Job sets it.
      scratch: `SLIPWAY_SCRATCH`: a folder for temporary files; its content may vanish with the process.
      termination_log: `SLIPWAY_TERMINATION_LOG`: file that receives the reason of a failure; by default, the one
        that Kubernetes reads.
      log_format: `SLIPWAY_LOG_FORMAT`: `text` or `json`.
      dies_with_parent: `SLIPWAY_DIES_WITH_PARENT`: stop at the end of standard input, when the parent process is gone.
    """

    store: str
    run: str
    attempt: int
    index: int
    scratch: Path
    termination_log: Path
    log_format: str
    dies_with_parent: bool

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read the environment.

        Raises:
          SpecError: A required variable is absent, or a value is not valid.
        """
        for name in ("SLIPWAY_STORE", "SLIPWAY_RUN"):
            if not environment.get(name):
                raise SpecError(f"{name} is not set; a stage needs SLIPWAY_STORE and SLIPWAY_RUN")
        log_format = environment.get("SLIPWAY_LOG_FORMAT", "text")
        if log_format not in ("text", "json"):
            raise SpecError(f"SLIPWAY_LOG_FORMAT is {log_format!r}, expected text or json")
        return cls(
            store=environment["SLIPWAY_STORE"],
            run=environment["SLIPWAY_RUN"],
            attempt=_number(environment, "SLIPWAY_ATTEMPT", 1),
            index=_number(environment, "JOB_COMPLETION_INDEX", 0),
            scratch=Path(environment.get("SLIPWAY_SCRATCH") or tempfile.gettempdir()),
            termination_log=Path(environment.get("SLIPWAY_TERMINATION_LOG", "/dev/termination-log")),
            log_format=log_format,
            dies_with_parent=bool(environment.get("SLIPWAY_DIES_WITH_PARENT")),
        )


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name) or str(default)
    if not text.isdigit():
        raise SpecError(f"{name} is {text!r}, expected a whole number")
    return int(text)
