"""A benchmark of the input of a training: `python -m tests.benchmarks.augmentation [FOLDER] --rounds 5`.

Writes records of a folder of annotated images, or of 200 drawn ones, and reads training batches of 320 pixels from them
with no augmentation, with each kind alone, and with all. The kinds take turns in each round, so that a machine that
slows down slows all of them. Prints the median of images per second, and its ratio to no augmentation.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from slipway.run.augmentation import Augmentation
from tests.fakes.harbour import draw
from tests.fakes.plans import small_plan

from services.trainer.augmentation.inputs import Progress, build_inputs
from services.trainer.pipeline_config import pipeline_config

_NOTHING: dict[str, Any] = {"flip": False, "scale": (1, 1), "crop": False, "colour": 0, "mosaic": 0}
_KINDS: dict[str, dict[str, Any]] = {
    "none": {},
    "flip": {"flip": True},
    "scale": {"scale": (0.7, 1.5)},
    "crop": {"crop": True},
    "colour": {"colour": 1},
    "mosaic": {"mosaic": 1},
    "all": {"flip": True, "scale": (0.7, 1.5), "crop": True, "colour": 1, "mosaic": 1},
}
_BATCH = 8


def write_records(source: Path, out: Path) -> Path:
    """Write the records of a folder of annotated images, and return the folder that has them."""
    command = [sys.executable, "-m", "services.cli", "run", str(source), "--out", str(out), "--until", "preprocess"]
    subprocess.run([*command, "--invalid", "drop"], check=True, stdout=sys.stderr)
    return next(out.rglob("train-*.tfrecord")).parent


def batches(records: Path, kind: str) -> Iterator[Any]:
    """Read batches without an end, in the middle of a long training."""
    import tensorflow as tf
    from official.core import task_factory

    fields = _NOTHING | _KINDS[kind]
    plan = small_plan(image_size=320, batch_size=_BATCH, **{f"augment_{name}": fields[name] for name in fields})
    task = pipeline_config(plan, 90, 100, None).task
    task.train_data.input_path = str(records / "train-*.tfrecord")
    if not (fields["colour"] or fields["mosaic"]):
        return iter(task_factory.get_task(task).build_inputs(task.train_data))
    progress = Progress(steps=10**6, start_step=0, seed=1)
    return iter(build_inputs(task, Augmentation(**fields), progress, tf.distribute.InputContext()))


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the images per second of each augmentation.")
    parser.add_argument("folder", type=Path, nargs="?", help="annotated images; by default 200 are drawn")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=40, help="batches of each kind in each round")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        source = options.folder or Path(scratch) / "harbour"
        if not options.folder:
            draw(source, 200, seed=1)
        records = write_records(source, Path(scratch) / "out")
        speeds: dict[str, list[float]] = {kind: [] for kind in _KINDS}
        for _ in range(options.rounds):
            for kind in _KINDS:
                dataset = batches(records, kind)
                list(islice(dataset, 5))  # fills the shuffle buffer
                start_time = time.monotonic()
                list(islice(dataset, options.batches))
                speeds[kind].append(options.batches * _BATCH / (time.monotonic() - start_time))
    reference = median(speeds["none"])
    print("| augmentation | images/s | of none |\n|---|---|---|")
    for kind, values in speeds.items():
        print(f"| {kind} | {median(values):.0f} | {median(values) / reference:.2f} |")


if __name__ == "__main__":
    main()
