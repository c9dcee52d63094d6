"""The command `slipway` as a process, and what tests read of its outputs."""

import hashlib
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

# Options for a model that learns in seconds.
SMALL = ("--preset", "retinanet_resnet10_320", "--image-size", "128", "--batch-size", "4")


@dataclass(frozen=True)
class FinishedRun:
    """A run from images to a report, by one command.

    Attributes:
      words: The arguments of the command.
      stdout: Its output.
      name: Of the run.
      source_digests: Of the images and annotations, before the command ran.
    """

    words: list[str]
    stdout: str
    name: str
    source_digests: dict[str, str]

    @property
    def out(self) -> Path:
        """The folder of all outputs, which is a store."""
        return Path(self.words[self.words.index("--out") + 1])

    @property
    def folder(self) -> Path:
        return self.out / "runs" / self.name


def slipway(*words, program=("-m", "services.cli")):
    """Run the command to its end."""
    command = [sys.executable, *program, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)


def digests(folder):
    """Return the digest of each file in a folder, by its path."""
    files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def lines(path):
    """Read a file with one JSON object a line."""
    return [json.loads(line) for line in Path(path).read_text().splitlines()]
