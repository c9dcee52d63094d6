"""Model Garden's stock recipe on the records of a prepared run: `retinanet_resnetfpn_coco` with its own defaults.

SGD with momentum, a stepwise learning rate, weight decay, flip and scale jitter stay as they are. Changed is what a
small dataset on a CPU needs to run at all: classes, input size, batch size (with the learning rate in proportion),
levels that fit the input size, the length (with the steps of the learning rate in proportion, and a tenth of it as
warm-up at most), float32, and no checkpoint from the network. `--model resnet10` also takes the small network of the
reference, so that the recipe alone is compared. A process of its own, started by `budgeted.py`.
"""

import argparse
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from slipway.artifacts.inputs import RunInputs
from slipway.store.folder import FolderStore
from tests.benchmarks.quality.runs import open_run

from services.evaluator.coco import Detection, ground_truth, measure
from services.evaluator.evaluate import Evaluation

_EXPERIMENT = "retinanet_resnetfpn_coco"
_STEPS_PER_LOOP = 5
_MOST_WARMUP = 500  # the experiment's, which trains for 33,264 steps
_RATE_DROPS = (57 / 72, 67 / 72)  # of the length; the experiment's, in epochs
_RATES = (0.32, 0.032, 0.0032)  # the experiment's, for a batch of 256
_SMALL_NETWORK = {
    "backbone": {"type": "resnet", "resnet": {"model_id": 10, "depth_multiplier": 0.5}},
    "decoder": {"type": "fpn", "fpn": {"num_filters": 64}},
    "head": {"num_convs": 1, "num_filters": 64},
}


def overrides(options: argparse.Namespace, labels: int, max_boxes: int, records: Path) -> dict[str, Any]:
    """Return what is changed of Model Garden's experiment.

    Args:
      labels: Number of labels; Model Garden counts the background as one more class.
      max_boxes: Boxes of the fullest image.
    """
    size, batch, steps = options.image_size, options.batch, options.units
    level = max(level for level in range(3, 8) if size % (1 << level) == 0)
    parser = {"max_num_instances": max(100, max_boxes)}
    shared = {"global_batch_size": batch, "dtype": "float32", "parser": parser}
    model: dict[str, Any] = {"num_classes": labels + 1, "input_size": [size, size, 3], "max_level": level}
    rate = {
        "boundaries": [round(share * steps) for share in _RATE_DROPS],
        "values": [rate * batch / 256 for rate in _RATES],
    }
    return {
        "runtime": {"mixed_precision_dtype": "float32"},
        "task": {
            "init_checkpoint": None,
            "annotation_file": None,
            "model": model | (_SMALL_NETWORK if options.model == "resnet10" else {}),
            "train_data": {"input_path": str(records / "train-*.tfrecord"), **shared},
            "validation_data": {"drop_remainder": False, **shared},
        },
        "trainer": {
            "train_steps": steps,
            "optimizer_config": {
                "learning_rate": {"stepwise": rate},
                "warmup": {"linear": {"warmup_steps": max(1, min(_MOST_WARMUP, steps // 10))}},
            },
        },
    }


def evaluated_steps(steps: int, evaluations: int) -> list[int]:
    """Return the steps after which the model is measured; the last is one of them."""
    return sorted({round(steps * number / evaluations) for number in range(1, evaluations + 1)} - {0})


@dataclass
class Scores:
    """Measures checkpoints, and keeps the detections on test of the best one: by AP on val, or on test without val.

    Attributes:
      times_sec: Time of each evaluation.
    """

    store: FolderStore
    inputs: RunInputs
    model: Evaluation
    folder: Path
    best_ap: float = -2.0
    detections: list[Detection] = field(default_factory=list)
    times_sec: list[float] = field(default_factory=list)

    def add(self, trainer: Any, step: int) -> None:
        """Measure the trainer's present weights."""
        started_at = time.monotonic()
        path = self.folder / "checkpoint" / f"ckpt-{step}"
        path.parent.mkdir(exist_ok=True)
        trainer.checkpoint.write(str(path))
        self.model.load(path)
        chosen_on = "val" if "val" in self.inputs.manifest.splits else "test"
        detections = self._detect(chosen_on)
        truth = ground_truth(self.inputs.annotated_images(self.store, chosen_on), self.inputs.labels)
        metrics = measure(truth, detections, loss=0.0).metrics
        print(f"step {step}: AP {metrics.ap:.3f}, AP50 {metrics.ap50:.3f} on {chosen_on}", flush=True)
        if metrics.ap > self.best_ap:
            self.best_ap = metrics.ap
            self.detections = detections if chosen_on == "test" else self._detect("test")
        self.times_sec.append(time.monotonic() - started_at)

    def _detect(self, split: str) -> list[Detection]:
        records = self.store.root / self.inputs.records.records
        return self.model.detect(str(records / f"{split}-*.tfrecord"))[0]


def build(config: Any, seed: int) -> Any:
    """Build Model Garden's trainer."""
    import tf_keras
    from official.core import task_factory
    from official.core.base_trainer import Trainer

    tf_keras.utils.set_random_seed(seed)
    task = task_factory.get_task(config.task)
    model = task.build_model()
    optimizer = task.create_optimizer(config.trainer.optimizer_config, config.runtime)
    return Trainer(config, task, model, optimizer, train=True, evaluate=False)


def loop_lengths(steps: int, evaluations: int) -> list[tuple[int, bool]]:
    """Return the steps of each loop, and whether an evaluation follows; the first, which traces the graph, is short."""
    loops, step = [], 0
    for target in evaluated_steps(steps, evaluations):
        while step < target:
            length = min(_STEPS_PER_LOOP if step else 1, target - step)
            step += length
            loops.append((length, step == target))
    return loops


def train(trainer: Any, steps: int, evaluations: int, scores: Scores) -> float:
    """Train, measure on the way, and return the median time of a step, without the first."""
    import tensorflow as tf

    step, step_secs = 0, []
    for length, is_evaluated in loop_lengths(steps, evaluations):
        started_at = time.monotonic()
        trainer.train(tf.constant(length))
        step += length
        step_secs.append((time.monotonic() - started_at) / length)
        if is_evaluated:
            scores.add(trainer, step)
    return median(step_secs[1:] or step_secs)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train Model Garden's stock recipe; see budgeted.py.")
    parser.add_argument("--model", choices=("resnet50", "resnet10"), required=True)
    parser.add_argument("--store", type=Path, required=True, help="folder of a run that was prepared")
    parser.add_argument("--out", type=Path, required=True)
    for name in ("--image-size", "--batch", "--seed", "--units", "--evaluations"):
        parser.add_argument(name, type=int, required=True)
    options = parser.parse_args()

    from official.core import exp_factory
    from official.vision.tasks import retinanet as _tasks  # noqa: F401  # registers experiments and task

    store, inputs = open_run(options.store)
    records = options.store / inputs.records.records
    config = exp_factory.get_exp_config(_EXPERIMENT)
    config.override(overrides(options, len(inputs.labels), inputs.records.max_boxes, records), is_strict=True)
    config.validate()
    scores = Scores(store, inputs, Evaluation(_EXPERIMENT, config.as_dict()), options.out)
    trainer = build(config, options.seed)
    step_sec = train(trainer, options.units, options.evaluations, scores)
    report = {
        "units": options.units,
        "unit_sec": step_sec,
        "images_per_sec": round(options.batch / step_sec, 1),
        "evaluations": len(scores.times_sec),
        "evaluation_sec": min(scores.times_sec),  # the first also traces the graph
        "detections": [(*detection[:2], *detection.box, detection.score) for detection in scores.detections],
    }
    (options.out / "report.json").write_text(json.dumps(report))


if __name__ == "__main__":
    main()
