"""Runs of Slipway in the quality benchmark: prepared ones, whose splits all recipes share, and measured ones."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from slipway import keys
from slipway.artifacts.evaluation import BestCheckpoint
from slipway.artifacts.inputs import RunInputs
from slipway.artifacts.json_io import read_document, read_lines
from slipway.artifacts.training import ProgressLine, TrainResult
from slipway.run.run_file import load_run
from slipway.store.folder import FolderStore
from tests.benchmarks.quality.datasets import Dataset, source_folder, write_smaller_source
from tests.benchmarks.quality.processes import Usage, run_command

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Prepared:
    """A dataset whose images are partitioned, and written as records, for one seed.

    Attributes:
      source: The folder that a run of Slipway gets.
      options: The options that the run gets besides, with the seed.
    """

    name: str
    seed: int
    source: Path
    options: tuple[str, ...]
    store: FolderStore
    inputs: RunInputs

    @property
    def train_images(self) -> int:
        return self.inputs.manifest.splits["train"].images

    @property
    def test_images(self) -> int:
        return self.inputs.manifest.splits["test"].images


@dataclass(frozen=True)
class Outcome:
    """What one recipe reached; see `Row` for the fields."""

    ap: float
    ap50: float
    usage: Usage
    images_per_sec: float
    length: str
    image_size: int


def slipway_command(checkout: Path | None) -> list[str | Path]:
    """Return the command of this checkout, or of another one with its own environment."""
    return [checkout.resolve() / ".venv/bin/slipway"] if checkout else [sys.executable, "-m", "services.cli"]


def commit(checkout: Path | None) -> str:
    """Return the commit of this checkout or another one, with `-dirty` if files differ from it."""
    words = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--match", ""]
    return subprocess.run(words, cwd=checkout or ROOT, capture_output=True, text=True, check=False).stdout.strip()


def prepare(dataset: Dataset, seed: int, work: Path) -> Prepared:
    """Partition a dataset with the seed, reduce its train split if asked to, and write the records.

    Args:
      work: A folder for this dataset and seed; what is in it is removed.
    """
    shutil.rmtree(work, ignore_errors=True)
    source, options = source_folder(dataset, work.parent), (*dataset.options, "--seed", str(seed))
    if dataset.train_images is not None:
        whole = _prepare(dataset.name, seed, source, options, work / "whole")
        source, options = work / "source", ("--seed", str(seed))
        write_smaller_source(whole.inputs, whole.store, dataset.train_images, source)
    return _prepare(dataset.name, seed, source, options, work / "prepared")


def _prepare(name: str, seed: int, source: Path, options: Sequence[str], out: Path) -> Prepared:
    words = ["run", source, *options, "--until", "preprocess", "--out", out]
    run_command([*slipway_command(None), *words], ROOT, out.with_suffix(".log"))
    store, inputs = open_run(out)
    return Prepared(name, seed, source, tuple(options), store, inputs)


def open_run(out: Path) -> tuple[FolderStore, RunInputs]:
    """Read the only run in a folder of outputs."""
    (folder,) = (out / "runs").iterdir()
    store = FolderStore(out)
    return store, RunInputs.load(store, load_run(folder.name, store))


def run_slipway(prepared: Prepared, options: Sequence[str], checkout: Path | None, out: Path) -> Outcome:
    """Measure `slipway run` from the command to the report, in a new folder.

    Raises:
      CommandFailed: The run failed.
      ValueError: Its splits are not the prepared ones.
    """
    shutil.rmtree(out, ignore_errors=True)
    words = ["run", prepared.source, *prepared.options, *options, "--out", out]
    usage = run_command([*slipway_command(checkout), *words], checkout or ROOT, out.with_suffix(".log"))
    store, inputs = open_run(out)
    if inputs.manifest.sha256 != prepared.inputs.manifest.sha256:
        raise ValueError(f"{out}: the run has other splits than {prepared.store.root}: are two versions compared?")
    best = read_document(store, keys.best(inputs.name), BestCheckpoint)
    result = read_document(store, keys.result(inputs.name, "train"), TrainResult)
    lines = read_lines(store, keys.progress(inputs.name), ProgressLine)
    return Outcome(
        ap=best.metrics.ap,
        ap50=best.metrics.ap50,
        usage=usage,
        images_per_sec=median([line.images_per_sec for line in lines if line.images_per_sec is not None] or [0.0]),
        length=f"{result.steps} steps",
        image_size=inputs.plan.image_size,
    )
