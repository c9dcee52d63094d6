"""What a training waits for its input, measured in a graph like Model Garden's loop."""

import time
from functools import cached_property

import pytest

pytestmark = pytest.mark.slow

STEPS = 10


class Loop:
    """Steps through a dataset inside one graph, as Model Garden's trainer does, and works for a while at each."""

    def __init__(self, dataset, work_sec):
        import tensorflow as tf

        self.global_step = tf.Variable(0, dtype=tf.int64)
        self.batches = iter(dataset)
        self._work_sec = work_sec

    def next_train_inputs(self, iterator):
        return next(iterator)

    def train(self):
        self._loop(self.batches)
        return int(self.global_step)

    @cached_property
    def _loop(self):
        import tensorflow as tf

        @tf.function
        def loop(iterator):
            for _ in tf.range(STEPS):
                batch = self.next_train_inputs(iterator)
                with tf.control_dependencies([batch]):
                    worked = tf.py_function(lambda: time.sleep(self._work_sec) or 0.0, [], tf.float32)
                with tf.control_dependencies([worked]):
                    self.global_step.assign_add(1)

        return loop


def batches(wait_sec, ahead):
    """Take that long for each batch; make it when it is asked for, or a few ahead."""
    import tensorflow as tf

    def make(number):
        time.sleep(wait_sec)
        return number

    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False  # it would work ahead by itself
    dataset = tf.data.Dataset.range(10 * STEPS)
    if wait_sec:
        dataset = dataset.map(lambda number: tf.py_function(make, [number], tf.int64))
    return (dataset.prefetch(ahead) if ahead else dataset).with_options(options)


@pytest.mark.parametrize(
    ("wait_sec", "work_sec", "ahead", "least", "most"),
    [
        pytest.param(0.0, 0.1, 0, 0.0, 0.3, id="work-is-slow"),
        pytest.param(0.1, 0.0, 0, 0.6, 1.0, id="input-is-slow"),
        pytest.param(0.1, 0.1, 0, 0.25, 0.75, id="both-are-slow"),
        pytest.param(0.05, 0.15, 5, 0.0, 0.25, id="input-is-slow-but-made-ahead"),
    ],
)
def test_the_share_is_that_of_the_time_in_which_no_batch_was_there(wait_sec, work_sec, ahead, least, most):
    from services.trainer.input_wait import InputWait

    loop = Loop(batches(wait_sec, ahead), work_sec)
    wait = InputWait(loop)
    loop.train()  # which traces the graph
    step, share = wait.measure(loop.train)
    assert step == 2 * STEPS
    assert least <= share <= most
