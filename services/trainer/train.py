"""The training loop: Model Garden's trainer, a few steps at a time."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipway.artifacts.checkpoints import Checkpoints
from slipway.errors import InputError, Stopped
from slipway.events import event
from slipway.metrics import registry as metrics

from services.trainer.initial_checkpoint import initialize
from services.trainer.input_wait import InputWait
from services.trainer.stop_conditions import Watch
from services.trainer.workers import Team

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
      on_progress: Called after each loop with step, loss, learning_rate, input_wait_ratio and the parts of the loss.
      on_checkpoint: Called after each published checkpoint with its step.
    """

    config: "ExperimentConfig"
    team: Team
    checkpoints: Checkpoints
    watch: Watch
    scratch: Path
    on_progress: Callable[[Progress], None]
    on_checkpoint: Callable[[int], None]


def train(training: Training, seed: int) -> int:
    """Train from the last checkpoint, or from the start, to the last step; return the step reached.

    Raises:
      Stopped: A worker was asked to stop, and a checkpoint was saved first.
      InputError: The initial checkpoint does not fit, or the loss is no longer finite.
      TransientError: Another worker is lost.
    """
    with training.team.bound():
        return _train(training, seed)


def _train(training: Training, seed: int) -> int:
    step = _newest(training)
    trainer = _build(training, step, seed)
    wait = InputWait(trainer)
    if step:
        _restore(trainer, training, step)
        event("training_resumed", step=step)
    last, every = training.config.trainer.train_steps, training.config.trainer.checkpoint_interval
    while step < last:
        loop = min(_STEPS_PER_LOOP, last - step, every - step % every)
        training.on_progress(_run(trainer, loop, wait))
        step += loop
        is_preempted, is_over = _reasons(training)
        if is_preempted:
            _save(trainer, training, step, is_last=False)
            raise Stopped(f"stopped at step {step} of {last}, which is saved; run the same command again to carry on")
        if is_over:
            last = step
        if step % every == 0 or step == last:
            _save(trainer, training, step, is_last=step == last)
    return step


def _newest(training: Training) -> int:
    """Return the step of the newest checkpoint that worker 0 sees listed, 0 without one."""
    (step,) = training.team.agree(sum(training.checkpoints.steps()[-1:]) if training.team.leads else 0)
    return step


def _reasons(training: Training) -> tuple[bool, bool]:
    """Ask whether any worker is to leave, and whether worker 0 says that the training is over."""
    is_preempted = training.watch.is_preempted
    is_over = training.team.leads and not is_preempted and training.watch.is_over()
    preempted, over = training.team.agree(is_preempted, is_over)
    return bool(preempted), bool(over)


def _build(training: Training, step: int, seed: int) -> "Trainer":
    import tf_keras
    from official.core import task_factory
    from official.core.base_trainer import Trainer
    from official.modeling import performance

    config = training.config
    # After a restart the shuffle goes on with another seed: the same one would show the same first images again.
    # The workers share it, for each takes its part of the same shuffled files.
    tf_keras.utils.set_random_seed(seed + step)
    if config.runtime.mixed_precision_dtype:
        performance.set_mixed_precision_policy(config.runtime.mixed_precision_dtype)
    with training.team.strategy.scope():
        task = task_factory.get_task(config.task)
        model = task.build_model()
        optimizer = task.create_optimizer(config.trainer.optimizer_config, config.runtime)
        trainer = Trainer(config, task, model, optimizer, train=True, evaluate=False)
        if not step:
            initialize(trainer)
    return trainer


def _restore(trainer: "Trainer", training: Training, step: int) -> None:
    path = training.checkpoints.fetch(step, training.scratch / "restore")
    trainer.checkpoint.read(str(path)).expect_partial().assert_existing_objects_matched()


def _run(trainer: "Trainer", steps: int, wait: InputWait) -> Progress:
    """Run a few steps and return what the trainer says of them.

    Raises:
      InputError: The loss is infinite or no number.
    """
    import numpy as np
    import tensorflow as tf

    logs: dict[str, Any]
    logs, waited = wait.share(lambda: trainer.train(tf.constant(steps)))
    step = int(trainer.global_step.numpy())
    numbers = {name: float(np.asarray(value)) for name, value in logs.items()}
    metrics.TRAINING_LOSS.set(numbers["training_loss"])  # also the one that ends the training
    if not np.isfinite(numbers["training_loss"]):
        raise InputError(
            f"the loss is {numbers['training_loss']} at step {step}; lower the learning rate "
            f"(it is {numbers['learning_rate']:g}) or raise the batch size"
        )
    return {"step": step, "loss": numbers.pop("training_loss"), **numbers, "input_wait_ratio": waited}


def _save(trainer: "Trainer", training: Training, step: int, is_last: bool) -> None:
    """Write one checkpoint and have it published; nobody goes on, or leaves, before it is listed."""
    path = training.scratch / f"ckpt-{step}"
    with metrics.CHECKPOINT_SECONDS.timed():
        trainer.checkpoint.write(
            str(path)
        )  # by each worker: some values are averaged over all of them as they are read
        files = sorted(training.scratch.glob(f"{path.name}.*"))
        if training.team.leads:
            training.checkpoints.publish(step, files, last=is_last)
    if training.team.leads:
        _drop_oldest(training)
        training.on_checkpoint(step)
    for file in files:
        file.unlink()
    training.team.agree(0)


def _drop_oldest(training: Training) -> None:
    for old in training.checkpoints.steps()[:-_KEPT]:
        training.checkpoints.delete(old)
