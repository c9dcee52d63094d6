"""The names of stages and of their processes, and the patterns of the other names that a run uses.

A new stage is named here, in `Stage` and in `PROCESSES`, and has its folder in `services/`: everything else follows.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Final, Literal, get_args

from pydantic import Field

NAME_PATTERN: Final = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"  # a DNS label: Jobs, Services and pods are named after runs
LONGEST_NAME: Final = 52  # leaves 11 of a DNS label's 63 characters for what Kubernetes appends
SHA256_PATTERN: Final = r"[0-9a-f]{64}"

Name = Annotated[str, Field(pattern=f"^{NAME_PATTERN}$", max_length=LONGEST_NAME)]
Sha256 = Annotated[str, Field(pattern=f"^{SHA256_PATTERN}$")]

Stage = Literal["ingest", "preprocess", "train", "export", "detect"]
STAGES: Final[tuple[Stage, ...]] = get_args(Stage)


@dataclass(frozen=True)
class Process:
    """One kind of process of a stage.

    Attributes:
      service: Its folder in `services/`, and the name of its container.
      label: Its name in logs, metrics and keys, where that is not the stage's.
      image: The container image that holds its packages.
      is_indexed: Each of the stage's workers is a process of its own, on a laptop too.
      is_sidecar: It works beside the stage's main process, is started again alone, and is stopped last.
    """

    stage: Stage
    service: str
    label: str = ""
    image: Literal["data", "tf"] = "tf"
    is_indexed: bool = False
    is_sidecar: bool = False

    @property
    def module(self) -> str:
        """The module that `python -m` runs."""
        return f"services.{self.service}"

    @property
    def name(self) -> str:
        """The name in logs, metrics and keys."""
        return self.label or self.stage


PROCESSES: Final = (
    Process("ingest", "ingest", image="data"),
    Process("preprocess", "preprocess", image="data", is_indexed=True),
    Process("train", "trainer"),
    Process("train", "evaluator", label="evaluate", is_sidecar=True),
    Process("export", "exporter"),
    Process("detect", "detector"),
)

PROCESS_NAMES: Final = tuple(process.name for process in PROCESSES)


def processes_of(stage: Stage) -> list[Process]:
    """Return the kinds of processes of a stage, the main one first."""
    return sorted((p for p in PROCESSES if p.stage == stage), key=lambda process: process.is_sidecar)


def main_process(stage: Stage) -> Process:
    """Return the process that writes the stage's result."""
    return processes_of(stage)[0]


def slug(folder: str, longest: int = LONGEST_NAME) -> str:
    """Turn a folder's name into one of lowercase letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", folder.lower())[:longest].strip("-") or "images"
