"""Training loop: Model Garden's trainer, a few steps at a time."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipway.artifacts.checkpoints import Checkpoints
from slipway.errors import InputError, Stopped
from slipway.events import event
from slipway.metrics import stage_gauges
from slipway.run.augmentation import Augmentation

from services.trainer.augmentation.inputs import Progress, build_inputs
from services.trainer.fine_tuning import FineTuning
from services.trainer.initial_checkpoint import initialize
from services.trainer.input_wait import InputWait
from services.trainer.journal import Journal, LoopMetrics
from services.trainer.pipeline_config import user_errors
from services.trainer.stop_conditions import StopConditions
from services.trainer.workers import WorkerGroup

if TYPE_CHECKING:
    import tensorflow as tf
    from official.core.base_trainer import Trainer
    from official.core.config_definitions import ExperimentConfig

_STEPS_PER_LOOP = 10  # a stop is noticed, and progress is recorded, once a loop; measured: no slower than 100
_MAX_CHECKPOINTS = 3  # the newest, and those that the evaluator may still be reading


@dataclass(frozen=True)
class Training:
    """One training of one worker.

    Attributes:
      scratch: An empty local folder.
      journal: Worker 0's; None in the others.
      fine_tuning: How the backbone is trained.
      is_customized: The run has a configuration of its own, so its errors are the user's.
    """

    config: "ExperimentConfig"
    augmentation: Augmentation
    group: WorkerGroup
    checkpoints: Checkpoints
    stop: StopConditions
    scratch: Path
    journal: Journal | None
    fine_tuning: FineTuning = field(default_factory=FineTuning)
    is_customized: bool = False


def train(training: Training, seed: int) -> int:
    """Train from the last checkpoint, or from the start, to the last step; return the step that was reached.

    Raises:
      Stopped: A worker was asked to stop, and a checkpoint was saved first.
      InputError: The initial checkpoint does not fit, or the loss is no longer finite.
      TransientError: Another worker is lost.
    """
    with training.group.lost_worker_errors():
        return _train(training, seed)


def _train(training: Training, seed: int) -> int:
    step = _newest_step(training)
    trainer = _build(training, step, seed)
    wait = InputWait(trainer)
    if step:
        _restore(trainer, training, step)
        event("training_resumed", step=step)
    last_step, interval = training.config.trainer.train_steps, training.config.trainer.checkpoint_interval
    while step < last_step:
        loop = _run_loop(trainer, min(_STEPS_PER_LOOP, last_step - step, interval - step % interval), wait)
        step = loop.step
        if training.journal:
            training.journal.record_loop(loop)
        is_preempted, is_over = _stop_reasons(training)
        if is_preempted:
            _save(trainer, training, step, is_last=False)
            raise Stopped(
                f"stopped at step {step} of {last_step}, which is saved; run the same command again to carry on"
            )
        if is_over:
            last_step = step
        if step % interval == 0 or step == last_step:
            _save(trainer, training, step, is_last=step == last_step)
    return step


def _newest_step(training: Training) -> int:
    """Return the step of the newest checkpoint that worker 0 finds in the store, 0 without one."""
    own_step = sum(training.checkpoints.steps()[-1:]) if training.group.is_leader else 0
    (step,) = training.group.sum_over_workers(own_step)
    return step


def _stop_reasons(training: Training) -> tuple[bool, bool]:
    """Return whether any worker is preempted, and whether worker 0 finds that the training is over."""
    is_preempted = training.stop.is_preempted
    is_over = training.group.is_leader and not is_preempted and training.stop.is_over()
    preempted_workers, leader_is_over = training.group.sum_over_workers(is_preempted, is_over)
    return bool(preempted_workers), bool(leader_is_over)


def _build(training: Training, step: int, seed: int) -> "Trainer":
    import tf_keras
    from official.core import task_factory
    from official.core.base_trainer import Trainer
    from official.modeling import performance

    config = training.config
    # A resumed training shuffles with another seed: the same seed would begin with the same images again.
    # All workers use the same seed, since each takes its part of the same shuffled files.
    tf_keras.utils.set_random_seed(seed + step)
    if config.runtime.mixed_precision_dtype:
        performance.set_mixed_precision_policy(config.runtime.mixed_precision_dtype)
    with training.group.strategy.scope(), user_errors(training.is_customized):
        task = task_factory.get_task(config.task)
        model = task.build_model()
        optimizer = task.create_optimizer(config.trainer.optimizer_config, config.runtime)
        training.fine_tuning.apply(model.backbone, optimizer)
        dataset = _augmented_dataset(training, Progress(config.trainer.train_steps, step, seed))
        trainer = Trainer(config, task, model, optimizer, train=True, evaluate=False, train_dataset=dataset)
        if not step and (counts := initialize(trainer)) and training.journal:
            training.journal.record_weights(counts.restored, counts.new)
    return trainer


def _augmented_dataset(training: Training, progress: Progress) -> "tf.data.Dataset | None":
    """Return the batches with mosaic and colour jitter; None without them, for Model Garden's own."""
    augmentation = training.augmentation
    if not (augmentation.mosaic or augmentation.colour):
        return None
    return training.group.strategy.distribute_datasets_from_function(
        lambda input_context: build_inputs(training.config.task, augmentation, progress, input_context)
    )


def _restore(trainer: "Trainer", training: Training, step: int) -> None:
    path = training.checkpoints.fetch(step, training.scratch / "restore")
    trainer.checkpoint.read(str(path)).expect_partial().assert_existing_objects_matched()


def _run_loop(trainer: "Trainer", steps: int, wait: InputWait) -> LoopMetrics:
    """Run a few steps and return the trainer's metrics.

    Raises:
      InputError: The loss is infinite or not a number.
    """
    import numpy as np
    import tensorflow as tf

    logs: dict[str, Any]
    logs, input_wait_ratio = wait.measure(lambda: trainer.train(tf.constant(steps)))
    step = int(trainer.global_step.numpy())
    numbers = {name: float(np.asarray(value)) for name, value in logs.items()}
    loss = numbers.pop("training_loss")
    stage_gauges.TRAINING_LOSS.set(loss)  # before the check, so that the loss that ends the training is exported too
    if not np.isfinite(loss):
        raise InputError(
            f"the loss is {loss} at step {step}; lower the learning rate "
            f"(it is {numbers['learning_rate']:g}) or raise the batch size"
        )
    return LoopMetrics(step, loss, input_wait_ratio, numbers)


def _save(trainer: "Trainer", training: Training, step: int, is_last: bool) -> None:
    """Write one checkpoint and publish it; no worker continues, or returns, before it is listed."""
    path = training.scratch / f"ckpt-{step}"
    with stage_gauges.CHECKPOINT_SECONDS.time():
        # Every worker writes: some values are averaged over all workers while they are read.
        trainer.checkpoint.write(str(path))
        files = sorted(training.scratch.glob(f"{path.name}.*"))
        if training.group.is_leader:
            training.checkpoints.publish(step, files, last=is_last)
    if training.group.is_leader:
        _delete_oldest(training.checkpoints)
    if training.journal:
        training.journal.record_checkpoint(step)
    for file in files:
        file.unlink()
    training.group.wait_for_all()


def _delete_oldest(checkpoints: Checkpoints) -> None:
    for step in checkpoints.steps()[:-_MAX_CHECKPOINTS]:
        checkpoints.delete(step)
