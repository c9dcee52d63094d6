"""Measure a run's checkpoints beside the trainer, keep the best, and say when to stop."""

import math
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from slipway import keys
from slipway.artifacts.checkpoints import Checkpoints
from slipway.artifacts.untyped_json import read_json
from slipway.dataset import annotations
from slipway.dataset.labels import LabelMap
from slipway.errors import MissingKey
from slipway.events import event
from slipway.metrics import registry as metrics
from slipway.run.plan import Plan, load_preset
from slipway.stage.runner import Result, StageParams, write_result
from slipway.store.interface import ObjectStore

from services.evaluator.coco import Detection, Measured, measure, truth
from services.evaluator.evaluate import Evaluation, EventFile
from services.evaluator.pictures import collect
from services.evaluator.scoreboard import Scoreboard

_POLL_SEC = 0.5
_MOST_DRAWN = 30  # checkpoints


@dataclass(frozen=True)
class Split:
    """One split in two forms: the truth as COCO wants it, and the pattern of its records on the local disk."""

    truth: dict[str, Any]
    records: str


@dataclass(frozen=True)
class Judge:
    """A model that any checkpoint of the run fits, and the splits to measure it on."""

    evaluation: Evaluation
    splits: Mapping[str, Split]

    def measure(self, checkpoint: Path, split: str) -> tuple[Measured, list[Detection]]:
        """Measure one checkpoint, and return its detections too; the path is TensorFlow's prefix."""
        self.evaluation.load(checkpoint)
        detections, loss = self.evaluation.detect(self.splits[split].records)
        return measure(self.splits[split].truth, detections, loss), detections


def evaluate(params: StageParams, store: ObjectStore) -> Result:
    """Measure each checkpoint as it is listed, until the last; the best is chosen on val where there is one.

    Beside any worker but the first there is nothing to do, and a sidecar that leaves is started again: so it waits for
    the SIGTERM that ends it.
    """
    if params.index:
        params.stopping.wait()
        return {}
    started = time.monotonic()
    trained = Checkpoints(store, keys.stage(params.name, "train"))
    best = Checkpoints(store, keys.best_checkpoint(params.name))
    judge = Judge(_evaluation(params, store), _splits(params, store))
    chosen_on = "val" if "val" in judge.splits else "test"
    board = Scoreboard(store, params.name, chosen_on, params.run.spec.train.patience)
    events = EventFile(params.scratch / "events")
    shown = judge.splits[chosen_on]
    album = collect(shown.records, shown.truth, params.run.spec.detect.score_threshold)
    pictures_every = _pictures_every(Plan.parse(store.read(keys.resolved(params.name))))
    board.tell()
    for step in _unmeasured(trained, board):
        try:
            checkpoint = trained.fetch(step, params.scratch / "checkpoint")
        except MissingKey:  # the trainer keeps only the newest few: it is faster than its evaluator
            event("checkpoint_skipped", step=step)
            continue
        with metrics.EVALUATION_SECONDS.timed():
            measured, detections = judge.measure(checkpoint, chosen_on)
        pictures = [] if len(board.measured) % pictures_every else album.draw(detections)
        board.add(step, chosen_on, measured)
        if board.best_step == step:
            _keep(best, step, checkpoint)
            board.save_best(step, chosen_on, measured)
        board.save()
        board.tell()
        shutil.rmtree(checkpoint.parent)
        file = events.add(step, measured, pictures)
        store.upload(file, f"{keys.stage(params.name, 'evaluate')}/{file.name}")
    if chosen_on != "test":
        last = trained.fetch(board.last_step, params.scratch / "last")
        _measure_on_test(judge, board, last, best.fetch(board.best_step, params.scratch / "best"))
    outcome = board.finish()
    kept = {name: outcome[name] for name in ("step", "split", "chosen_on", "metrics", "last")}
    return write_result(store, params.name, "evaluate", kept | {"duration_sec": round(time.monotonic() - started, 1)})


def _evaluation(params: StageParams, store: ObjectStore) -> Evaluation:
    """Build the model of the run's pipeline config, which the trainer writes as it starts."""
    preset = load_preset(Plan.parse(store.read(keys.resolved(params.name))).preset)
    while store.size(keys.pipeline_config(params.name)) is None:
        time.sleep(_POLL_SEC)
    return Evaluation(preset.experiment, yaml.safe_load(store.read(keys.pipeline_config(params.name))))


def _pictures_every(plan: Plan) -> int:
    """Return of how many checkpoints one is drawn: the event file goes to the store whole each time."""
    return math.ceil(plan.steps / plan.checkpoint_every / _MOST_DRAWN)


def _splits(params: StageParams, store: ObjectStore) -> dict[str, Split]:
    """Bring val and test to the local disk."""
    dataset = read_json(store, keys.result(params.name, "ingest"))["dataset"]
    records = read_json(store, keys.result(params.name, "preprocess"))
    labels = LabelMap.parse(store.read(keys.label_map(dataset)).decode())
    return {
        split: Split(
            truth(_annotated(store, dataset, split, counts["shards"]), labels),
            _download(store, records["records"], split, counts["shards"], params.scratch / "records"),
        )
        for split, counts in records["splits"].items()
        if split != "train"
    }


def _annotated(store: ObjectStore, dataset: str, split: str, shards: int) -> Iterator[annotations.AnnotatedImage]:
    for number in range(shards):
        yield from annotations.parse(store.read(keys.annotations(dataset, split, number, shards)))


def _download(store: ObjectStore, records: str, split: str, shards: int, folder: Path) -> str:
    for number in range(shards):
        key = keys.shard(records, split, number, shards)
        store.download(key, folder / Path(key).name)
    return str(folder / f"{split}-*.tfrecord")


def _unmeasured(trained: Checkpoints, board: Scoreboard) -> Iterator[int]:
    """Yield the oldest listed checkpoint that was not measured, again and again, until the last one was."""
    skipped: set[int] = set()
    while True:
        steps = trained.steps()
        metrics.EVALUATION_LAG.set(steps[-1] - max(board.measured, default=0) if steps else 0)
        waiting = [step for step in steps if step not in board.measured | skipped]
        if waiting:
            yield waiting[0]
            skipped.add(waiting[0])
        elif steps and trained.listing(steps[-1]).last:
            return
        else:
            time.sleep(_POLL_SEC)


def _keep(best: Checkpoints, step: int, checkpoint: Path) -> None:
    """Publish the checkpoint where the trainer does not remove it; the one that was best before goes."""
    best.publish(step, sorted(checkpoint.parent.glob(f"{checkpoint.name}.*")))
    for old in best.steps():
        if old != step:
            best.delete(old)


def _measure_on_test(judge: Judge, board: Scoreboard, last: Path, best: Path) -> None:
    """Report the chosen checkpoint, and the last, on images that had no part in the choice."""
    board.add(board.last_step, "test", judge.measure(last, "test")[0])
    measured, _ = judge.measure(best, "test")
    if board.best_step != board.last_step:
        board.add(board.best_step, "test", measured)
    board.save_best(board.best_step, "test", measured)
