"""Recipes that train as long as the reference took: a trial measures their speed, and the length follows from it.

Each is a script of ours that runs in a process: Model Garden's stock recipe in Slipway's environment, a peer in an
environment of its own. The script trains a number of units (steps, or epochs) and writes a `Report`. The trial, a few
units, does not count; the training that counts is one command from its start to its detections.
"""

import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from slipway.dataset.boxes import Box
from tests.benchmarks.quality.environments import python_of_peers
from tests.benchmarks.quality.processes import Usage, run_command
from tests.benchmarks.quality.runs import ROOT, Outcome, Prepared
from tests.benchmarks.quality.yolo_format import export_yolo

from services.evaluator.coco import Detection, ground_truth, measure

_BATCH = 8  # the reference's
# Units and evaluations of a trial; the first unit is slower and left out, and so is the first of several evaluations.
_TRIAL_LENGTH = {"steps": (11, 2), "epochs": (3, 1)}
_MOST_EVALUATIONS = 10  # as in a run of Slipway
_EVALUATION_SHARE = 0.1  # at most, of the budget


@dataclass(frozen=True)
class Script:
    """One script and what it trains.

    Attributes:
      model: The argument `--model`.
      unit: What it counts: steps, or epochs.
      is_peer: It runs in the peers' environment, on data in YOLO's format; otherwise in Slipway's, on its records.
    """

    file: str
    model: str
    unit: str
    is_peer: bool


@dataclass(frozen=True)
class Report:
    """What a script writes when it ends.

    Attributes:
      units: Number of units that were trained.
      unit_sec: Median time of a unit, without the first; with its evaluation where each unit has one.
      images_per_sec: Median rate of the training.
      evaluations, evaluation_sec: Number and time of the evaluations where not each unit has one.
    """

    units: int
    unit_sec: float
    images_per_sec: float
    detections: tuple[Detection, ...]
    evaluations: int = 0
    evaluation_sec: float = 0.0


SCRIPTS: Mapping[str, Script] = {
    "stock": Script("stock.py", "resnet50", "steps", is_peer=False),
    "stock-small": Script("stock.py", "resnet10", "steps", is_peer=False),
    "yolo11n": Script("peers/ultralytics_yolo.py", "yolo11n", "epochs", is_peer=True),
    "yolov8n": Script("peers/ultralytics_yolo.py", "yolov8n", "epochs", is_peer=True),
    "libreyolo": Script("peers/libreyolo_yolo9.py", "t", "epochs", is_peer=True),
}


def run_budgeted(recipe: str, prepared: Prepared, budget_sec: float, image_size: int, folder: Path) -> Outcome:
    """Measure a recipe within the budget.

    Args:
      folder: Receives the data in the script's format, logs and reports; what is in it is removed.
      image_size: The reference's.

    Raises:
      CommandFailed: The script failed.
      ValueError: Not even one unit fits into the budget.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    script = SCRIPTS[recipe]
    words = [
        *_data_words(script, prepared, folder),
        *("--model", script.model, "--image-size", str(image_size)),
        *("--batch", str(_BATCH), "--seed", str(prepared.seed)),
    ]
    trial, trial_usage = _run(script, [*words, *_length_words(*_TRIAL_LENGTH[script.unit])], folder / "trial")
    units, evaluations = fitting_length(trial, trial_usage.wall_sec, budget_sec)
    if units < 1:
        raise ValueError(f"{recipe}: a trial took {trial_usage.wall_sec:.0f} s, more than {budget_sec:.0f} s allow")
    report, usage = _run(script, [*words, *_length_words(units, evaluations)], folder / "measured")
    truth = ground_truth(prepared.inputs.annotated_images(prepared.store, "test"), prepared.inputs.labels)
    metrics = measure(truth, report.detections, loss=0.0).metrics
    return Outcome(metrics.ap, metrics.ap50, usage, report.images_per_sec, f"{report.units} {script.unit}", image_size)


def fitting_length(trial: Report, trial_sec: float, budget_sec: float) -> tuple[int, int]:
    """Return how many units and evaluations fit into the budget, by what a trial took.

    Args:
      trial_sec: Wall time of the whole trial, from which follows what start and end take.
    """
    fixed_sec = trial_sec - trial.units * trial.unit_sec - trial.evaluations * trial.evaluation_sec
    evaluations = 0
    if trial.evaluations:
        affordable = int(_EVALUATION_SHARE * budget_sec / max(trial.evaluation_sec, 0.001))
        evaluations = min(max(affordable, 1), _MOST_EVALUATIONS)
    left_sec = budget_sec - fixed_sec - evaluations * trial.evaluation_sec
    return max(0, int(left_sec / trial.unit_sec)), evaluations


def _data_words(script: Script, prepared: Prepared, folder: Path) -> list[str]:
    """Write the data as the script reads them, and return its arguments for them."""
    if script.is_peer:
        return ["--data", str(export_yolo(prepared.inputs, prepared.store, folder / "data"))]
    return ["--store", str(prepared.store.root)]


def _length_words(units: int, evaluations: int) -> list[str]:
    return ["--units", str(units), "--evaluations", str(evaluations)]


def _run(script: Script, words: list[str], folder: Path) -> tuple[Report, Usage]:
    folder.mkdir()
    python = python_of_peers() if script.is_peer else Path(sys.executable)
    file = Path(__file__).parent / script.file
    variables = {"PYTHONPATH": "" if script.is_peer else f"{ROOT}:{ROOT / 'shared'}"}
    usage = run_command([python, file, *words, "--out", folder], folder, folder / "log", variables)
    return parse_report((folder / "report.json").read_text()), usage


def parse_report(text: str) -> Report:
    """Read a script's report; a detection is [source id, class id from 1, xmin, ymin, xmax, ymax, score]."""
    content = json.loads(text)
    content["detections"] = tuple(
        Detection(int(image), int(class_id), Box(*corners), score)
        for image, class_id, *corners, score in content["detections"]
    )
    return Report(**content)
