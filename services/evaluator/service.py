"""Second process of the training stage: measures each checkpoint, keeps the best, and decides when to stop."""

import math
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from PIL.Image import Image

from slipway import keys
from slipway.artifacts.checkpoints import Checkpoints
from slipway.artifacts.error_analysis import ErrorAnalysis
from slipway.artifacts.evaluation import BestCheckpoint, EvaluateResult
from slipway.artifacts.inputs import RunInputs
from slipway.artifacts.json_io import write_document
from slipway.artifacts.operating_point import OperatingPoints, choose_thresholds
from slipway.errors import MissingKey
from slipway.events import event
from slipway.metrics import stage_gauges
from slipway.run.plan import Plan
from slipway.stage.runner import StageParams, write_result
from slipway.store.interface import ObjectStore

from services.evaluator.advice import Figures, advise
from services.evaluator.coco import Detection, GroundTruth, Measurement, ground_truth, measure
from services.evaluator.error_analysis import analyze_errors
from services.evaluator.evaluate import Evaluation
from services.evaluator.event_file import EventFile
from services.evaluator.intervals import estimate_intervals
from services.evaluator.matching import match_images
from services.evaluator.operating_point import choose_operating_points, match_detections, report_on
from services.evaluator.pictures import make_album
from services.evaluator.scoreboard import Scoreboard

_POLL_SEC = 0.5
_MAX_CHECKPOINTS_DRAWN = 30
_LEAST_AP = 0.01  # of a training that has begun to find objects


@dataclass(frozen=True)
class Split:
    """The annotations of a split, and the pattern of its local record files."""

    truth: GroundTruth
    records: str


def evaluate(params: StageParams, store: ObjectStore) -> EvaluateResult | None:
    """Measure each checkpoint as it is listed, until the last; the best is chosen on val where there is one.

    Beside a worker other than the first there is nothing to measure. A sidecar that exits is started again, so there
    it waits for SIGTERM.
    """
    if params.index:
        params.stopping.wait()
        return None
    started_at = time.monotonic()
    evaluator = RunEvaluator(params, store)
    for step in evaluator.unmeasured_steps():
        evaluator.measure_step(step)
    best = evaluator.finish()
    result = EvaluateResult(
        step=best.step,
        split=best.split,
        chosen_on=best.chosen_on,
        metrics=best.metrics,
        last=best.last,
        duration_sec=round(time.monotonic() - started_at, 1),
    )
    return write_result(store, params.name, "evaluate", result)


class RunEvaluator:
    """Measures the checkpoints of one run with a model that is built once."""

    def __init__(self, params: StageParams, store: ObjectStore) -> None:
        self._store, self._run, self._scratch = store, params.name, params.scratch
        self._trained_checkpoints = Checkpoints(store, keys.stage(params.name, "train"))
        self._best_checkpoints = Checkpoints(store, keys.best_checkpoint(params.name))
        self._inputs = inputs = RunInputs.load(store, params.run)
        self._model = _build_model(store, inputs)
        self._splits = _fetch_splits(store, inputs, params.scratch / "records")
        self._chosen_on = "val" if "val" in self._splits else "test"
        self._scoreboard = Scoreboard(store, params.name, self._chosen_on, *_patience(inputs))
        self._event_file = EventFile(params.scratch / "events")
        self._album = make_album(self._splits[self._chosen_on].records, self._splits[self._chosen_on].truth)
        self._requested_threshold = params.run.spec.detect.score_threshold
        self._picture_interval = _picture_interval(inputs.plan)
        self._best_detections: Sequence[Detection] | None = None
        self._scoreboard.set_gauges()

    def unmeasured_steps(self) -> Iterator[int]:
        """Yield the oldest listed checkpoint that was not measured yet, repeatedly, until the last was measured."""
        skipped_steps: set[int] = set()
        while True:
            steps, measured_steps = self._trained_checkpoints.steps(), self._scoreboard.measured_steps
            stage_gauges.EVALUATION_LAG.set(steps[-1] - max(measured_steps, default=0) if steps else 0)
            waiting_steps = [step for step in steps if step not in measured_steps | skipped_steps]
            if waiting_steps:
                yield waiting_steps[0]
                skipped_steps.add(waiting_steps[0])
            elif steps and self._trained_checkpoints.listing(steps[-1]).last:
                return
            else:
                time.sleep(_POLL_SEC)

    def measure_step(self, step: int) -> None:
        """Measure one checkpoint on the deciding split, and store the outcome; skip one that is deleted by then."""
        try:
            checkpoint = self._trained_checkpoints.fetch(step, self._scratch / "checkpoint")
        except MissingKey:  # the trainer keeps only the newest few, and is faster than the evaluator
            event("checkpoint_skipped", step=step)
            return
        with stage_gauges.EVALUATION_SECONDS.time():
            measurement, detections = self._measure(checkpoint, self._chosen_on)
        matches = match_detections(self._splits[self._chosen_on].truth, detections)
        points = choose_operating_points(self._chosen_on, matches)
        pictures = self._draw(detections, points)
        self._scoreboard.add(step, self._chosen_on, measurement)
        if self._scoreboard.best_step == step:
            self._keep_best(step, checkpoint)
            self._best_detections = detections
            self._scoreboard.save_best(step, self._chosen_on, measurement, report_on(points, matches))
        self._scoreboard.save()
        self._scoreboard.set_gauges()
        shutil.rmtree(checkpoint.parent)
        file = self._event_file.add(step, measurement, pictures)
        self._store.upload(file, f"{keys.stage(self._run, 'evaluate')}/{file.name}")

    def finish(self) -> BestCheckpoint:
        """Report the best and the last checkpoint on test, write the final verdict, and return the best."""
        detections = self._measure_on_test() if self._chosen_on != "test" else self._detect_with_best()
        board, truth = self._scoreboard, self._splits["test"].truth
        images = match_images(truth, detections)
        best = board.complete_best(estimate_intervals(images, len(truth.labels.names)))
        thresholds = choose_thresholds(self._requested_threshold, best.operating_points)
        errors = analyze_errors(truth, images, thresholds)
        advice = advise(self._figures(best, errors))
        write_document(self._store, keys.error_analysis(self._run), errors.model_copy(update={"advice": advice}))
        board.save(is_final=True)
        return best

    def _figures(self, best: BestCheckpoint, errors: ErrorAnalysis) -> Figures:
        manifest = self._inputs.manifest
        return Figures(
            best=best,
            rows=self._scoreboard.deciding_rows,
            kinds=errors.kinds,
            confusions=errors.confusion.confusions(),
            train_boxes=manifest.splits["train"].per_class,
            is_reduced=self._inputs.plan.image_size < max(manifest.median_size),
        )

    def _measure_on_test(self) -> Sequence[Detection]:
        """Measure both checkpoints on images that did not take part in the choice; return the best one's detections."""
        board = self._scoreboard
        last_path = self._trained_checkpoints.fetch(board.last_step, self._scratch / "last")
        best_path = self._best_checkpoints.fetch(board.best_step, self._scratch / "best")
        board.add(board.last_step, "test", self._measure(last_path, "test")[0])
        measurement, detections = self._measure(best_path, "test")
        matches = match_detections(self._splits["test"].truth, detections)
        points = board.operating_points or choose_operating_points("test", matches)
        if board.best_step != board.last_step:
            board.add(board.best_step, "test", measurement)
        board.save_best(board.best_step, "test", measurement, report_on(points, matches))
        return detections

    def _detect_with_best(self) -> Sequence[Detection]:
        """Return the best checkpoint's detections on test; after a restart, they have to be made again."""
        if self._best_detections is None:
            best_path = self._best_checkpoints.fetch(self._scoreboard.best_step, self._scratch / "best")
            self._best_detections = self._measure(best_path, "test")[1]
        return self._best_detections

    def _measure(self, checkpoint: Path, split: str) -> tuple[Measurement, Sequence[Detection]]:
        """Measure one checkpoint, and return its detections too; the path is TensorFlow's prefix."""
        self._model.load(checkpoint)
        detections, loss = self._model.detect(self._splits[split].records)
        return measure(self._splits[split].truth, detections, loss), detections

    def _draw(self, detections: Sequence[Detection], points: OperatingPoints) -> list[Image]:
        """Draw the pictures of every n-th checkpoint."""
        if len(self._scoreboard.measured_steps) % self._picture_interval:
            return []
        return self._album.draw(detections, choose_thresholds(self._requested_threshold, points))

    def _keep_best(self, step: int, checkpoint: Path) -> None:
        """Publish a copy that the trainer does not delete, and delete the previous best."""
        self._best_checkpoints.publish(step, sorted(checkpoint.parent.glob(f"{checkpoint.name}.*")))
        for best_step in self._best_checkpoints.steps():
            if best_step != step:
                self._best_checkpoints.delete(best_step)


def _build_model(store: ObjectStore, inputs: RunInputs) -> Evaluation:
    """Build the model of the run's pipeline config, which the trainer writes as it starts."""
    key = keys.pipeline_config(inputs.name)
    while store.stat(key) is None:
        time.sleep(_POLL_SEC)
    return Evaluation(inputs.preset.experiment, yaml.safe_load(store.read(key)))


def _patience(inputs: RunInputs) -> tuple[int, float]:
    """Return the run's patience, and the AP below which it does not count.

    A patience that was asked for always counts. One that was chosen does not stop a training that has hardly found
    anything yet.
    """
    requested_patience = inputs.run.spec.train.patience
    return (requested_patience, -1.0) if requested_patience is not None else (inputs.plan.patience or 0, _LEAST_AP)


def _fetch_splits(store: ObjectStore, inputs: RunInputs, folder: Path) -> Mapping[str, Split]:
    """Read the annotations of val and test, and download their records."""
    splits = {}
    for name in inputs.records.splits.keys() - {"train"}:
        truth = ground_truth(inputs.annotated_images(store, name), inputs.labels)
        for key in inputs.records.shard_keys(name):
            store.download(key, folder / Path(key).name)
        splits[name] = Split(truth, str(folder / f"{name}-*.tfrecord"))
    return splits


def _picture_interval(plan: Plan) -> int:
    """Return n, where pictures are drawn for every n-th checkpoint: each time, the whole event file is uploaded."""
    return math.ceil(plan.steps / plan.checkpoint_every / _MAX_CHECKPOINTS_DRAWN)
