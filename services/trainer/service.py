"""Training stage: trains a detector on a run's records while the evaluator measures its checkpoints."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

from slipway import keys
from slipway.artifacts.checkpoints import Checkpoints
from slipway.artifacts.evaluation import Verdict
from slipway.artifacts.inputs import RunInputs
from slipway.artifacts.json_io import read_optional
from slipway.artifacts.training import TrainResult
from slipway.artifacts.weights import RestoredWeights
from slipway.dataset import annotations
from slipway.errors import SpecError, Stopped, TransientError
from slipway.events import event
from slipway.run.plan import Plan
from slipway.stage.runner import StageParams, write_result
from slipway.store.interface import ObjectStore

from services.trainer.fine_tuning import FineTuning
from services.trainer.initial_checkpoint import LocalWeights, fetch_initial_checkpoint
from services.trainer.journal import Journal
from services.trainer.pipeline_config import dump, pipeline_config, user_errors
from services.trainer.repeated_records import repeat_records
from services.trainer.stop_conditions import StopConditions
from services.trainer.train import Training
from services.trainer.train import train as train_steps
from services.trainer.workers import WorkerGroup, join_workers

if TYPE_CHECKING:
    from official.core.config_definitions import ExperimentConfig

_VERDICT_WAIT_SEC = 900.0  # the evaluator measures the last checkpoint in seconds, or in minutes on a large split
_POLL_SEC = 0.5


def train(params: StageParams, store: ObjectStore) -> TrainResult | None:
    """Train to the last step, wait until that checkpoint has been measured, and write the result.

    Of several workers, only worker 0 waits and writes; the others return None after the last step.
    """
    started_at = time.monotonic()
    inputs = RunInputs.load(store, params.run)
    checkpoints = Checkpoints(store, keys.stage(params.name, "train"))
    step = _final_step(checkpoints) or _train(params, store, inputs, checkpoints)
    if params.index:
        return None
    verdict = _wait_for_final_verdict(store, params)
    duration = round(time.monotonic() - started_at, 1)
    result = TrainResult(
        steps=step,
        best_step=verdict.best,
        duration_sec=duration,
        preset=inputs.plan.preset,
    )
    if weights := read_optional(store, keys.restored_weights(params.name), RestoredWeights):
        result = result.model_copy(update={"weights": weights})
    return write_result(store, params.name, "train", result)


def _final_step(checkpoints: Checkpoints) -> int | None:
    """Return the last step of a training that has ended, else None.

    A restart that only waits for the verdict then needs no other worker.
    """
    steps = checkpoints.steps()
    return steps[-1] if steps and checkpoints.listing(steps[-1]).last else None


def _train(params: StageParams, store: ObjectStore, inputs: RunInputs, checkpoints: Checkpoints) -> int:
    started_at, spec, plan = time.monotonic(), params.run.spec.train, inputs.plan
    group = join_workers(params.index, _gpu_count(spec.gpus), params.stopping)
    config = _prepare(inputs, params, store, group)
    journal = Journal(store, params.name, plan, params.scratch / "events") if group.is_leader else None
    training = Training(
        config=config,
        augmentation=plan.augmentation,
        group=group,
        checkpoints=checkpoints,
        stop=StopConditions(
            params.stopping,
            lambda: _wants_stop(store, params.name),
            None if spec.time_limit is None else started_at + spec.time_limit,
        ),
        scratch=params.scratch,
        journal=journal,
        is_customized=spec.is_customized,
        fine_tuning=_fine_tuning(inputs),
    )
    event("training", preset=plan.preset, steps=plan.steps, batch_size=plan.batch_size, image_size=plan.image_size)
    return train_steps(training, spec.seed)


def _prepare(inputs: RunInputs, params: StageParams, store: ObjectStore, group: WorkerGroup) -> "ExperimentConfig":
    """Write `pipeline.yaml`, and return it with the paths of the local copies of records and weights."""
    plan, records = inputs.plan, inputs.records
    group.check_batch(plan.batch_size, records.splits["train"].images)
    weights = _fetch_weights(plan, params, store, group)
    with user_errors(params.run.spec.train.is_customized):
        stored_path = weights.key if weights else None
        config = pipeline_config(plan, len(inputs.labels), records.max_boxes, stored_path, inputs.preset)
    if group.is_leader:
        store.write(keys.pipeline_config(params.name), dump(config))
    config.task.init_checkpoint = weights.path if weights else None
    folder = params.scratch / "records"
    _fetch_records(inputs, store, folder)
    config.task.train_data.input_path = str(folder / "train-*.tfrecord")
    return config


def _fetch_records(inputs: RunInputs, store: ObjectStore, folder: Path) -> None:
    """Download the train split's records, and repeat those of rare classes in the local copies."""
    copies = 0
    annotation_keys = inputs.manifest.annotation_keys("train")
    for key, annotation_key in zip(inputs.records.shard_keys("train"), annotation_keys, strict=True):
        shard = folder / Path(key).name
        store.download(key, shard)
        if inputs.plan.class_repeats:
            images = annotations.parse(store.read(annotation_key), annotation_key)
            copies += repeat_records(shard, images, inputs.plan.class_repeats)
    if copies:
        event("records_repeated", images=inputs.records.splits["train"].images, copies=copies)


def _fetch_weights(plan: Plan, params: StageParams, store: ObjectStore, group: WorkerGroup) -> LocalWeights | None:
    """Fetch the pretrained weights: worker 0 first, so that the others find its copy in the store."""
    if not plan.initial_checkpoint:
        return None
    with group.lost_worker_errors():
        if not group.is_leader:
            group.wait_for_all()
        weights = fetch_initial_checkpoint(plan, store, params.scratch)
        if group.is_leader:
            group.wait_for_all()
    return weights


def _fine_tuning(inputs: RunInputs) -> FineTuning:
    """Return how the backbone is trained: as the preset says if it is pretrained, else all of it alike."""
    preset = inputs.preset
    if not inputs.plan.initial_checkpoint:
        return FineTuning()
    return FineTuning(preset.frozen_blocks, preset.backbone_learning_rate_ratio)


def _gpu_count(requested_count: int) -> int:
    """Return the number of GPUs to train on: those of the run file, or one if it asks for none and one is present.

    Raises:
      SpecError: Fewer are present than the run file asks for.
    """
    import tensorflow as tf

    gpu_count = len(tf.config.list_physical_devices("GPU"))
    if gpu_count < requested_count:
        raise SpecError(
            f"train.gpus is {requested_count}, TensorFlow sees {gpu_count}; ask for fewer or use a node that has them"
        )
    return requested_count or min(gpu_count, 1)


def _wants_stop(store: ObjectStore, run: str) -> bool:
    verdict = read_optional(store, keys.verdict(run), Verdict)
    return verdict is not None and verdict.stop


def _wait_for_final_verdict(store: ObjectStore, params: StageParams) -> Verdict:
    """Wait until the evaluator has measured the last checkpoint: the evaluator ends with the pod."""
    deadline = time.monotonic() + _VERDICT_WAIT_SEC
    event("verdict_awaited")
    while True:
        verdict = read_optional(store, keys.verdict(params.name), Verdict)
        if verdict is not None and verdict.final:
            return verdict
        if params.stopping.wait(_POLL_SEC):
            raise Stopped("stopped while the last checkpoint is being measured; run the same command again to carry on")
        if time.monotonic() > deadline:
            raise TransientError(
                f"the evaluator did not measure the last checkpoint in {_VERDICT_WAIT_SEC:.0f} s; "
                "see its log and run again"
            )
