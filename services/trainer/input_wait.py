"""Time that a training waits for its input."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from official.core.base_trainer import Trainer


class InputWait:
    """Measures, inside the graph, how long each step waits for its batch.

    The clock starts when the previous step has raised the global step, so that no computation hides the wait. A GPU
    runs its kernels behind the host, and the global step rises once all of them are queued: the time that they still
    take counts as waiting if the batch arrives meanwhile. The cost is two clock readings and one addition a step.

    Args:
      trainer: Not run yet, since its loop is traced once; its method `next_train_inputs` is replaced.
    """

    def __init__(self, trainer: "Trainer") -> None:
        import tensorflow as tf

        self._seconds = tf.Variable(0.0, trainable=False, dtype=tf.float64)
        self._step, self._next_inputs = trainer.global_step, trainer.next_train_inputs
        trainer.next_train_inputs = self._next_inputs_on_clock

    def measure(self, train: Callable[[], Any]) -> tuple[Any, float]:
        """Call `train`; return its result, and the share of the time in which it waited for input."""
        seconds_before, start_time = float(self._seconds.numpy()), time.monotonic()
        result = train()
        return result, (float(self._seconds.numpy()) - seconds_before) / (time.monotonic() - start_time)

    def _next_inputs_on_clock(self, iterator: Any) -> Any:
        import tensorflow as tf

        with tf.device("CPU"), tf.control_dependencies([self._step.read_value()]):
            start_time = tf.timestamp()
        with tf.control_dependencies([start_time]):
            inputs = self._next_inputs(iterator)
        with tf.device("CPU"), tf.control_dependencies(tf.nest.flatten(inputs, expand_composites=True)):
            end_time = tf.timestamp()
        self._seconds.assign_add(end_time - start_time)
        return inputs
