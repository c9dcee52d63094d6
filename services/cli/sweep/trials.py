"""The runs of a sweep: the values to try, as a grid or some of it, each with every seed."""

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from slipway.artifacts.sweep import Sweep, SweepRun
from slipway.digests import sha256_json
from slipway.errors import SpecError
from slipway.run.model_garden import check_overrides, nearest_names
from slipway.run.spec import RunSpec, TrainingRun

from services.cli.local.run_request import FIELDS, RunRequest

_VAL_RATIO = 0.15  # of a sweep without a val split; with less, small datasets have too few images to choose by
_MOST_RUNS = 100  # without being asked for: a mistyped list of values would train for days
# Values of these options are given to all runs: with several, runs would be measured on different images.
_FOR_ALL_RUNS = ("test_ratio", "val_ratio", "label_map", "format", "invalid")
_KEYS = [
    option
    for option, fields in FIELDS.items()
    if option not in ("seed", "set") and all(field.startswith(("train.", "ingest.")) for field in fields)
]

Values = Mapping[str, Any]


@dataclass(frozen=True)
class SweepRequest:
    """The options of `slipway sweep`.

    Attributes:
      run: The values that all runs share.
      tries: `KEY=VALUE,VALUE,…` of each key.
      run_limit: Number of combinations that are chosen at random; None tries all of them.
      seeds: Number of trainings of each combination.
      prunes: Whether runs may be stopped early.
    """

    run: RunRequest
    tries: Sequence[str]
    run_limit: int | None = None
    seeds: int = 1
    out: Path = Path("slipway-out")
    prunes: bool = True
    as_json: bool = False


@dataclass(frozen=True)
class Trial:
    """The values of one run, and its seed; None where there is one training of each combination."""

    values: Values
    seed: int | None = None

    @property
    def options(self) -> Values:
        """The options by which this run differs from the others."""
        overrides = {key: value for key, value in self.values.items() if "." in key}
        options = {key: value for key, value in self.values.items() if key not in overrides}
        return options | ({"set": overrides} if overrides else {}) | {"train.seed": self.seed}


def plan_trials(request: SweepRequest) -> list[Trial]:
    """Return the runs of a sweep, in the order in which they are trained.

    Raises:
      SpecError: A key is unknown or given twice, a list of values cannot be read, or there is nothing to compare.
    """
    lists = _parse_tries(request.tries)
    combinations = _combine(lists, request.run_limit)
    if len(combinations) * request.seeds < 2:
        raise SpecError("there is nothing to compare; give a key two values (--try learning_rate=0.001,0.003)")
    if len(combinations) * request.seeds > _MOST_RUNS and request.run_limit is None:
        raise SpecError(
            f"these values make {len(combinations) * request.seeds} runs, more than {_MOST_RUNS}; "
            "give fewer values, or have some combinations chosen at random (--runs 20)"
        )
    seeds = range(request.seeds) if request.seeds > 1 else [None]
    return [Trial(values, seed) for values in combinations for seed in seeds]


def check_specs(specs: Sequence[RunSpec]) -> None:
    """Check that runs can be compared. Raises `SpecError`."""
    if "train" not in specs[0].stages:
        raise SpecError(f"the run file ends with {specs[0].until}, and a sweep compares trainings; remove `until`")
    if specs[0].ingest.val_ratio == 0:
        raise SpecError("val_ratio is 0, and a sweep chooses the best run on val images; give a ratio above 0")


def with_val_ratio(request: SweepRequest, spec: RunSpec, splits: Collection[str]) -> tuple[SweepRequest, list[str]]:
    """Return the request with a share of the images for val, and a note, unless the dataset has a val split.

    Raises:
      SpecError: The dataset has none, and was ingested before.
    """
    if "val" in splits:
        return request, []
    if spec.dataset.ref:
        raise SpecError(
            f"dataset {spec.dataset.ref} has no val split, on which a sweep chooses the best run; "
            f"send its folder again with `slipway dataset push FOLDER --val-ratio {_VAL_RATIO}`, or name its source "
            "instead (dataset.source)"
        )
    run = replace(request.run, options={**request.run.options, "val_ratio": _VAL_RATIO})
    note = f"{_VAL_RATIO:.0%} of the images are the val split, on which the best run is chosen: none was asked for."
    return replace(request, run=run), [note]


def new_sweep(trials: Sequence[Trial], runs: Sequence[TrainingRun], notes: Sequence[str]) -> Sweep:
    """Return a sweep of which no run has begun; its name ends in the digest of its runs.

    Raises:
      SpecError: Two combinations of values make the same run.
    """
    names = [run.metadata.name for run in runs]
    if len(set(names)) < len(names):
        raise SpecError("two combinations of these values make the same run; leave out the one that changes nothing")
    sweep_runs = [SweepRun(run=n, values=t.values, seed=t.seed) for n, t in zip(names, trials, strict=True)]
    prefix, digest = names[0].rpartition("-")[0], sha256_json([run.spec.digest() for run in runs])
    return Sweep(name=f"{prefix}-{digest[:8]}", runs=tuple(sweep_runs), notes=tuple(notes))


def _parse_tries(texts: Sequence[str]) -> dict[str, list[Any]]:
    """Return the values of each key, in the order given."""
    lists: dict[str, list[Any]] = {}
    for text in texts:
        name, separator, values = text.partition("=")
        if not separator or not values.strip():
            raise SpecError(f"--try {text}: expected KEY=VALUE,VALUE,…, such as learning_rate=0.001,0.003")
        key = name.strip() if "." in name else _check_option(name)
        if key in lists:
            raise SpecError(f"--try {text}: {key} is given twice; give all its values in one list")
        lists[key] = _parse_values(text, key, values)
        if key in _FOR_ALL_RUNS and len(lists[key]) > 1:
            raise SpecError(f"--try {text}: the runs would be measured on different images; give {key} one value")
    return lists


def _check_option(name: str) -> str:
    key = name.strip().lstrip("-").replace("-", "_")
    if key == "seed":
        raise SpecError("--try seed: several trainings of the same values are asked for with --seeds")
    if key not in _KEYS:
        names = nearest_names(key, _KEYS)
        raise SpecError(f"--try {name}: no option of run sets this field of train or ingest; the nearest are {names}")
    return key


def _parse_values(text: str, key: str, values: str) -> list[Any]:
    """Read a list of YAML values; equal ones are tried once."""
    try:
        items = [_number(item) for item in yaml.safe_load(f"[{values}]")]
    except yaml.YAMLError as error:
        raise SpecError(f"--try {text}: the values are not a list of YAML values") from error
    if "." in key:
        items = [check_overrides({key: item})[key] for item in items]
    return [item for number, item in enumerate(items) if item not in items[:number]]


def _number(value: Any) -> Any:
    """Return a number for text such as 1e-3, which has no point and therefore is not a number in YAML 1.1."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _combine(lists: Mapping[str, list[Any]], limit: int | None) -> list[Values]:
    """Return every combination of values, or as many as `limit`, chosen at random but the same each time."""
    grid: list[Values] = [dict(zip(lists, values, strict=True)) for values in product(*lists.values())]
    return grid if limit is None or limit >= len(grid) else random.Random(0).sample(grid, limit)  # noqa: S311
