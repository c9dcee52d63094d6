"""`slipway run --learning-curve`: the same training on shares of the images, to see whether more of them would help."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slipway import keys
from slipway.artifacts.dataset import IngestResult
from slipway.artifacts.evaluation import BestCheckpoint
from slipway.artifacts.json_io import read_document, read_optional, write_document
from slipway.artifacts.learning_curve import LearningCurve, LearningPoint
from slipway.errors import EXIT_DONE, SpecError
from slipway.run.spec import TrainingRun
from slipway.store.folder import FolderStore

from services.cli.commands.run import print_summary, run_stages
from services.cli.local.run_request import RunRequest, training_run, training_runs
from services.cli.local.runner import Outcome, run_local
from services.cli.screen.console import display, print_json
from services.cli.screen.summary import summarize

_SHARES: tuple[Mapping[str, Any], ...] = ({"train_share": 0.25}, {"train_share": 0.5})


def learning_curve(request: RunRequest, out: Path, as_json: bool) -> int:
    """Train on a quarter and on half of the images, run everything on all of them, and print what the figures say."""
    if request.options.get("train_share") is not None:
        raise SpecError("--learning-curve trains on all images and on shares of them; leave out --train-share")
    if out.exists() and not out.is_dir():
        raise SpecError(f"--out {out} is a file; give a folder")
    whole, store = training_run(request, out), FolderStore(out.absolute())
    if "train" not in whole.spec.stages:
        raise SpecError(f"--learning-curve compares trainings, and this run ends with {whole.spec.until}")
    curve: LearningCurve | None = None
    for run in training_runs(request, _SHARES, out):
        outcome = _train(run, store, as_json)
        if outcome.code != EXIT_DONE:
            return print_summary(summarize(store, run.metadata.name, run.spec, outcome), as_json)
        curve = _add(curve, run, store)
    _keep(curve, whole, store)
    summary = run_stages(request, out, as_json)
    if summary.is_done:
        curve = _add(curve, whole, store)
        write_document(store, keys.learning_curve(summary.run), curve)
        _print(curve, as_json)
    return print_summary(summary, as_json)


def _train(run: TrainingRun, store: FolderStore, as_json: bool) -> Outcome:
    """Run the stages up to the training."""
    name = run.metadata.name
    with display(as_json) as show:
        show({"event": "run_begun", "run": name, "folder": str(store.root / keys.run_folder(name))})
        return run_local(run, store, lambda event: show({**event, "run": name}), until="train")


def _add(curve: LearningCurve | None, run: TrainingRun, store: FolderStore) -> LearningCurve:
    """Return the curve with the best checkpoint of one run."""
    name = run.metadata.name
    best = read_document(store, keys.best(name), BestCheckpoint)
    splits = read_document(store, keys.result(name, "ingest"), IngestResult).splits
    if curve is None:
        counts = splits[best.split]
        curve = LearningCurve(split=best.split, images=counts.images, boxes=counts.boxes)
    return curve.add(LearningPoint.of(name, splits["train"].images, best))


def _keep(curve: LearningCurve | None, whole: TrainingRun, store: FolderStore) -> None:
    """Store the shares' figures for the report; a report that was written without them is written again."""
    name = whole.metadata.name
    old = read_optional(store, keys.learning_curve(name), LearningCurve)
    is_new = not old or not curve or old.points[: len(curve.points)] != curve.points
    if curve and is_new:
        write_document(store, keys.learning_curve(name), curve)
        store.delete(keys.result(name, "detect"))


def _print(curve: LearningCurve, as_json: bool) -> None:
    if as_json:
        print_json({"event": "learning_curve", **curve.content(), "gain": curve.gain, "sentence": curve.sentence})
    else:
        print(curve.sentence)
