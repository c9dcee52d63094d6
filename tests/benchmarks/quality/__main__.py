"""A benchmark of detector quality: `python -m tests.benchmarks.quality --dataset NAME=FOLDER --recipe NAME --out FILE`.

Trains each recipe on each dataset with each seed, of partition and training alike, and prints the medians of AP50, AP,
wall time, processor time and images per second as a table, which is also written beside FILE. FILE has a line for each
training; the same command continues after an interruption. Nothing else may use the machine: times are compared.

Recipes: `scratch`, the reference (preset retinanet_resnet10_320), whose wall time is the budget of the recipes of
others; `default`, a run without options; a preset by its name; `NAME=OPTIONS`, a run with these options besides.
Recipes of others, all from scratch: `stock` and `stock-small` (Model Garden's stock recipe, with its own network or the
reference's), `yolo11n` and `yolov8n` (Ultralytics), `libreyolo` (its smallest).
"""

import argparse
import fcntl
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from slipway.run.presets import preset_names
from tests.benchmarks.quality.budgeted import SCRIPTS, run_budgeted
from tests.benchmarks.quality.datasets import Dataset, parse_dataset
from tests.benchmarks.quality.environments import cache_folder
from tests.benchmarks.quality.processes import CommandFailed
from tests.benchmarks.quality.results import REFERENCE, ResultsFile, Row, markdown
from tests.benchmarks.quality.runs import Outcome, Prepared, commit, prepare, run_slipway

_QUIET_LOAD = 0.5
_REFERENCE_OPTIONS = ("--preset", "retinanet_resnet10_320")


@dataclass(frozen=True)
class Benchmark:
    """What is measured, and where the files of the trainings are.

    Attributes:
      recipes: Name to the options of `slipway run`; None for a recipe within the reference's time.
      reference: A checkout with an environment, whose command is the reference; None for this one.
    """

    recipes: dict[str, tuple[str, ...] | None]
    results: ResultsFile
    work: Path
    reference: Path | None

    def measure_all(self, dataset: Dataset, seed: int) -> Iterator[str]:
        """Measure the recipes that have no row yet, and yield the message of each that failed."""
        rows = {name: self.results.find(dataset.name, name, seed) for name in self.recipes}
        for name, row in rows.items():
            if row and row.options != " ".join(self.recipes[name] or ()):
                raise ValueError(f"{name} was measured with the options {row.options!r}; give it another name")
        missing = [name for name, row in rows.items() if row is None]
        needs_budget = any(self.recipes[name] is None for name in missing)
        if needs_budget and not self.results.find(dataset.name, REFERENCE, seed) and REFERENCE not in missing:
            missing.append(REFERENCE)
        missing.sort(key=lambda name: name != REFERENCE)  # the others' budget
        if not missing:
            return
        prepared = prepare(dataset, seed, self.work / f"{dataset.name}-{seed}")
        self.results.check_digest(dataset.name, seed, prepared.inputs.manifest.sha256)
        for name in missing:
            load = os.getloadavg()[0]
            print(f"{dataset.name}, seed {seed}: {name}; load {load:.1f}", file=sys.stderr, flush=True)
            try:
                self._measure(name, prepared, load)
            except (CommandFailed, ValueError) as error:
                yield f"{dataset.name}, seed {seed}: {name}: {error}"

    def _measure(self, name: str, prepared: Prepared, load: float) -> None:
        folder = self.work / f"{prepared.name}-{prepared.seed}" / name
        options = self.recipes.get(name, _REFERENCE_OPTIONS)
        checkout = self.reference if name == REFERENCE else None
        if options is not None:
            outcome = run_slipway(prepared, options, checkout, folder)
            row = _row(name, prepared, outcome, load)
        else:
            budget = self.results.find(prepared.name, REFERENCE, prepared.seed)
            if budget is None:
                raise ValueError("the reference failed, so there is no budget")
            outcome = run_budgeted(name, prepared, budget.wall_sec, budget.image_size, folder)
            row = replace(_row(name, prepared, outcome, load), budget_sec=budget.wall_sec)
        self.results.append(replace(row, options=" ".join(options or ()), commit=commit(checkout)))


def _row(name: str, prepared: Prepared, outcome: Outcome, load: float) -> Row:
    return Row(
        dataset=prepared.name,
        recipe=name,
        seed=prepared.seed,
        ap=round(outcome.ap, 4),
        ap50=round(outcome.ap50, 4),
        wall_sec=outcome.usage.wall_sec,
        cpu_sec=outcome.usage.cpu_sec,
        images_per_sec=outcome.images_per_sec,
        length=outcome.length,
        image_size=outcome.image_size,
        train_images=prepared.train_images,
        test_images=prepared.test_images,
        dataset_sha256=prepared.inputs.manifest.sha256,
        load=round(load, 2),
    )


def parse_recipe(text: str) -> tuple[str, tuple[str, ...] | None]:
    """Return a recipe's name, and the options of its run of Slipway; None for a recipe of others.

    Raises:
      ValueError: There is no recipe of that name.
    """
    name, separator, options = text.partition("=")
    known = {REFERENCE: _REFERENCE_OPTIONS, "default": (), **dict.fromkeys(SCRIPTS)}
    known |= {preset: ("--preset", preset) for preset in preset_names()}
    if separator and name not in SCRIPTS:
        return name, (*(known.get(name) or ()), *shlex.split(options))
    if text not in known:
        raise ValueError(f"recipe {text!r} does not exist; choose one of {', '.join(known)}, or NAME=OPTIONS")
    return name, known[name]


@contextmanager
def lock(work: Path) -> Iterator[None]:
    """Keep a second benchmark from running at the same time: each would measure the other.

    Raises:
      SystemExit: One is running.
    """
    work.mkdir(parents=True, exist_ok=True)
    with (work / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit(f"another benchmark runs in {work}; wait until it has ended") from None
        yield


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.quality", description=__doc__.split("\n\n")[1])
    add = parser.add_argument
    add("--dataset", action="append", required=True, help="NAME=FOLDER or NAME=harbour[,test-ratio=R][,train=N]")
    add("--recipe", action="append", required=True, help="may be given several times, as --dataset")
    add("--seeds", type=int, default=3, help="number of seeds, from 0")
    add("--out", type=Path, required=True, help="file of JSON lines; the table is beside it")
    add("--work", type=Path, default=cache_folder() / "quality", help="folder for the files of the trainings")
    add("--reference", type=Path, help="checkout with an environment, whose command is the recipe scratch")
    options = parser.parse_args(arguments)
    try:
        datasets = [parse_dataset(text) for text in options.dataset]
        recipes = dict(parse_recipe(text) for text in options.recipe)
        results = ResultsFile(options.out)
    except ValueError as error:
        parser.error(str(error))
    failures = []
    with lock(options.work):
        if os.getloadavg()[0] > _QUIET_LOAD:
            print(f"the machine is busy (load {os.getloadavg()[0]:.1f}): times will be too long", file=sys.stderr)
        benchmark = Benchmark(recipes, results, options.work, options.reference)
        for dataset in datasets:
            for seed in range(options.seeds):
                try:
                    failures += benchmark.measure_all(dataset, seed)
                except (CommandFailed, ValueError) as error:
                    failures.append(f"{dataset.name}, seed {seed}: {error}")
                options.out.with_suffix(".md").write_text(markdown(results.rows))
    print(markdown(results.rows))
    print(*failures, sep="\n", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
