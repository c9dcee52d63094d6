"""The training loop: Model Garden's trainer, a few steps at a time."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipway.checkpoints import Checkpoints
from slipway.errors import InputError, Stopped
from slipway.telemetry import event

from services.trainer.preempt import Watch

if TYPE_CHECKING:
    from official.core.base_trainer import Trainer
    from official.core.config_definitions import ExperimentConfig

_STEPS_PER_LOOP = 10  # a stop is noticed, and progress is seen, once a loop; measured: no slower than 100
_KEPT = 3  # checkpoints: the newest, and those the evaluator may still be busy with

Progress = dict[str, float]


@dataclass(frozen=True)
class Training:
    """One training, and whom it tells what.

    Attributes:
      checkpoint_every: Steps between checkpoints.
      on_progress: Called after each loop with step, loss, learning_rate and the parts of the loss.
      on_checkpoint: Called after each published checkpoint with its step.
    """

    config: "ExperimentConfig"
    checkpoints: Checkpoints
    watch: Watch
    scratch: Path
    on_progress: Callable[[Progress], None]
    on_checkpoint: Callable[[int], None]


def train(training: Training, seed: int, gpus: int) -> int:
    """Train from the last checkpoint, or from the start, to the last step; return the step reached.

    Raises:
      Stopped: It was asked to stop, and saved a checkpoint first.
      InputError: The loss is no longer finite.
    """
    trainer = _build(training.config, training.checkpoints.steps(), seed, gpus)
    step = _restore(trainer, training.checkpoints, training.scratch)
    if step:
        event("training_resumed", step=step)
    last, every = training.config.trainer.train_steps, training.config.trainer.checkpoint_interval
    while step < last:
        loop = min(_STEPS_PER_LOOP, last - step, every - step % every)
        training.on_progress(_run(trainer, loop))
        step += loop
        if training.watch.is_preempted:
            _save(trainer, training, step, is_last=False)
            raise Stopped(f"stopped at step {step} of {last}, which is saved; run the same command again to carry on")
        if training.watch.is_over():
            last = step
        if step % every == 0 or step == last:
            _save(trainer, training, step, is_last=step == last)
    return step


def _build(config: "ExperimentConfig", steps: list[int], seed: int, gpus: int) -> "Trainer":
    import tf_keras
    from official.common import distribute_utils
    from official.core import task_factory
    from official.core.base_trainer import Trainer
    from official.modeling import performance

    # After a restart the shuffle goes on with another seed: the same one would show the same first images again.
    tf_keras.utils.set_random_seed(seed + sum(steps[-1:]))
    if config.runtime.mixed_precision_dtype:
        performance.set_mixed_precision_policy(config.runtime.mixed_precision_dtype)
    strategy = distribute_utils.get_distribution_strategy(
        distribution_strategy="mirrored" if gpus > 1 else "one_device", num_gpus=gpus
    )
    with strategy.scope():
        task = task_factory.get_task(config.task)
        model = task.build_model()
        optimizer = task.create_optimizer(config.trainer.optimizer_config, config.runtime)
        trainer = Trainer(config, task, model, optimizer, train=True, evaluate=False)
        if not steps:
            trainer.initialize()
    return trainer


def _restore(trainer: "Trainer", checkpoints: Checkpoints, scratch: Path) -> int:
    """Load the newest listed checkpoint, if there is one, and return its step."""
    steps = checkpoints.steps()
    if not steps:
        return 0
    path = checkpoints.fetch(steps[-1], scratch / "restore")
    trainer.checkpoint.read(str(path)).expect_partial().assert_existing_objects_matched()
    return int(trainer.global_step.numpy())


def _run(trainer: "Trainer", steps: int) -> Progress:
    """Run a few steps and return what the trainer says of them.

    Raises:
      InputError: The loss is infinite or no number.
    """
    import numpy as np
    import tensorflow as tf

    logs: dict[str, Any] = trainer.train(tf.constant(steps))
    step = int(trainer.global_step.numpy())
    numbers = {name: float(np.asarray(value)) for name, value in logs.items()}
    if not np.isfinite(numbers["training_loss"]):
        raise InputError(
            f"the loss is {numbers['training_loss']} at step {step}; lower the learning rate "
            f"(it is {numbers['learning_rate']:g}) or raise the batch size"
        )
    return {"step": step, "loss": numbers.pop("training_loss"), **numbers}


def _save(trainer: "Trainer", training: Training, step: int, is_last: bool) -> None:
    """Write and publish one checkpoint, then drop the oldest ones."""
    path = training.scratch / f"ckpt-{step}"
    trainer.checkpoint.write(str(path))
    files = sorted(training.scratch.glob(f"{path.name}.*"))
    training.checkpoints.publish(step, files, last=is_last)
    for file in files:
        file.unlink()
    for old in training.checkpoints.steps()[:-_KEPT]:
        training.checkpoints.delete(old)
    training.on_checkpoint(step)
