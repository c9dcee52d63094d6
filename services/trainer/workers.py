"""A group of workers that train one model: joining it, collectives, and the loss of a worker."""

import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, Any

from slipway.errors import SpecError, Stopped, TransientError
from slipway.events import event

if TYPE_CHECKING:
    import tensorflow as tf

_JOIN_SEC = 1800.0  # a node that is started on demand takes minutes, and so does the pull of the image
_POLL_SEC = 0.5


@dataclass(frozen=True)
class WorkerGroup:
    """All workers that train the model; often a single one.

    Attributes:
      index: Of this worker. Worker 0 leads: it alone writes, and it checks the evaluator's verdict and the time limit.
      size: Number of workers.
    """

    strategy: "tf.distribute.Strategy"
    index: int = 0
    size: int = 1

    @property
    def is_leader(self) -> bool:
        return self.index == 0

    def sum_over_workers(self, *numbers: int) -> list[int]:
        """Add up each number over the workers.

        Every worker has to call it, and each waits for the others. To pass on a value that one worker decides, the
        others call it with 0.
        """
        if self.size == 1:
            return list(numbers)
        import tensorflow as tf

        total = self.strategy.reduce("SUM", tf.constant(numbers, tf.int64), axis=None)
        return [int(number) for number in total.numpy()]

    def wait_for_all(self) -> None:
        """Wait until every worker has called this."""
        self.sum_over_workers(0)

    def check_batch(self, batch_size: int, images: int) -> None:
        """Check that every replica gets an equal part of the batch, and every worker an image.

        Raises:
          SpecError: The batch cannot be shared evenly, or there are too few images.
        """
        replicas = self.strategy.num_replicas_in_sync
        if batch_size % replicas:
            raise SpecError(
                f"train.batchSize is {batch_size}, which {replicas} replicas on {self.size} workers cannot share; "
                f"ask for a multiple of {replicas}, or for fewer workers"
            )
        if images < self.size:
            raise SpecError(f"the train split has {images} images for {self.size} workers; ask for fewer workers")

    @contextmanager
    def lost_worker_errors(self) -> Iterator[None]:
        """Translate the failure of a collective to `TransientError`, since it means that a worker is lost.

        All workers then start again from the last checkpoint.
        """
        from tensorflow import errors

        # A closed connection, a missed heartbeat, a worker that came back as another process.
        connection_errors = (
            errors.UnavailableError,
            errors.AbortedError,
            errors.CancelledError,
            errors.DeadlineExceededError,
            errors.FailedPreconditionError,
            errors.InternalError,
        )
        try:
            yield
        except connection_errors as error:
            if self.size == 1:
                raise
            reason = error.message.rpartition("}} ")[2].partition("\n")[0]  # without the names of TensorFlow's ops
            raise TransientError(
                f"worker {self.index} of {self.size} lost another, whose log says why; all start again from the last "
                f"checkpoint ({reason})"
            ) from error


def join_workers(index: int, gpus: int, stopping: Event) -> WorkerGroup:
    """Connect to the other workers that `TF_CONFIG` names; without it, return a group of one.

    TensorFlow reads that variable itself. Nothing may run in TensorFlow before this call.

    Raises:
      SpecError: `TF_CONFIG` and the Job give this worker different numbers.
      TransientError: Not all workers connected in time.
      Stopped: The stage was asked to stop meanwhile.
    """
    import tensorflow as tf
    from official.common import distribute_utils

    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    size = len(resolver.cluster_spec().as_dict().get("worker", ()))
    if size < 2:
        kind = "mirrored" if gpus > 1 else "one_device"
        return WorkerGroup(distribute_utils.get_distribution_strategy(kind, num_gpus=gpus))
    if resolver.task_id != index:
        raise SpecError(
            f"TF_CONFIG calls this worker {resolver.task_id}, JOB_COMPLETION_INDEX {index}; make them equal"
        )
    # TensorFlow would take every GPU of the machine.
    tf.config.set_visible_devices(tf.config.list_physical_devices("GPU")[:gpus], "GPU")
    event("workers_awaited", index=index, workers=size)
    strategy = _wait_for_workers(ThreadPoolExecutor(1).submit(_strategy, resolver, gpus), size, stopping)
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))  # TensorFlow replaced the handler
    event("workers_met", index=index, workers=size)
    return WorkerGroup(strategy, index, size)


def _strategy(resolver: Any, gpus: int) -> "tf.distribute.Strategy":
    import tensorflow as tf

    communication = tf.distribute.experimental.CommunicationImplementation
    options = tf.distribute.experimental.CommunicationOptions(
        implementation=communication.NCCL if gpus else communication.RING
    )
    return tf.distribute.MultiWorkerMirroredStrategy(resolver, options)


def _wait_for_workers(strategy: "Future[Any]", size: int, stopping: Event) -> Any:
    """Return the strategy once all workers are connected; poll, since no signal interrupts TensorFlow's own wait."""
    deadline = time.monotonic() + _JOIN_SEC
    while time.monotonic() < deadline:
        try:
            return strategy.result(timeout=_POLL_SEC)
        except NotYet:
            if stopping.is_set():
                raise Stopped("stopped while waiting for the other workers; nothing is lost") from None
    raise TransientError(
        f"not all of the {size} workers came within {_JOIN_SEC:.0f} s; see which of the pods does not run"
    )
