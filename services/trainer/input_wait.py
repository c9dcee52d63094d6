"""How long a training waits for its input."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from official.core.base_trainer import Trainer


class InputWait:
    """Times, inside the graph, how long each step waits for its batch.

    The clock starts when the step before has raised the global step, so none of the wait is hidden by work. On a GPU
    that is when all of its kernels were queued, for they run behind the host: what they still had to do is counted as
    waiting if the batch came meanwhile. It costs two readings of the clock and one addition a step.

    Args:
      trainer: Not yet run, for its loop is traced once; its method `next_train_inputs` is replaced.
    """

    def __init__(self, trainer: "Trainer") -> None:
        import tensorflow as tf

        self._seconds = tf.Variable(0.0, trainable=False, dtype=tf.float64)
        self._step, self._next = trainer.global_step, trainer.next_train_inputs
        trainer.next_train_inputs = self._timed

    def share(self, work: Callable[[], Any]) -> tuple[Any, float]:
        """Let the trainer work; return what it returns, and the share of the time that it waited."""
        waited, started = float(self._seconds.numpy()), time.monotonic()
        done = work()
        return done, (float(self._seconds.numpy()) - waited) / (time.monotonic() - started)

    def _timed(self, iterator: Any) -> Any:
        import tensorflow as tf

        with tf.device("CPU"), tf.control_dependencies([self._step.read_value()]):
            before = tf.timestamp()
        with tf.control_dependencies([before]):
            inputs = self._next(iterator)
        with tf.device("CPU"), tf.control_dependencies(tf.nest.flatten(inputs, expand_composites=True)):
            after = tf.timestamp()
        self._seconds.assign_add(after - before)
        return inputs
