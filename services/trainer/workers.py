"""Several workers that train one model: how they meet, agree, and notice that one of them is lost."""

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

_JOIN_SEC = 1800.0  # a node that is brought up on demand takes minutes, and so does the pull of the image
_POLL_SEC = 0.5


@dataclass(frozen=True)
class Team:
    """Everyone who trains the model; mostly one worker alone.

    Attributes:
      index: Of this worker. Worker 0 writes, and speaks for the evaluator and the clock.
      size: How many workers there are.
    """

    strategy: "tf.distribute.Strategy"
    index: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        return self.index == 0

    def agree(self, *numbers: int) -> list[int]:
        """Add up each number over the workers.

        All of them have to ask, so this is also where they wait for one another. What one worker is to decide is added
        to the zeros of the others.
        """
        if self.size == 1:
            return list(numbers)
        import tensorflow as tf

        total = self.strategy.reduce("SUM", tf.constant(numbers, tf.int64), axis=None)
        return [int(number) for number in total.numpy()]

    def share(self, batch_size: int, images: int) -> None:
        """See that each has something to train on.

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
    def bound(self) -> Iterator[None]:
        """Say of a broken collective that a worker is lost: all of them then start again from the last checkpoint."""
        from tensorflow import errors

        # What the loss looks like: a closed connection, a missed heartbeat, a worker that came back as another process.
        lost = (
            errors.UnavailableError,
            errors.AbortedError,
            errors.CancelledError,
            errors.DeadlineExceededError,
            errors.FailedPreconditionError,
            errors.InternalError,
        )
        try:
            yield
        except lost as error:
            if self.size == 1:
                raise
            reason = error.message.rpartition("}} ")[2].partition("\n")[0]  # without the names of TensorFlow's ops
            raise TransientError(
                f"worker {self.index} of {self.size} lost another, whose log says why; all start again from the last "
                f"checkpoint ({reason})"
            ) from error


def join(index: int, gpus: int, stopping: Event) -> Team:
    """Meet the other workers that `TF_CONFIG` names; alone without it.

    TensorFlow reads that variable itself. Nothing else may be asked of TensorFlow before this.

    Raises:
      SpecError: `TF_CONFIG` calls this worker another than the Job does.
      TransientError: Not everyone came.
      Stopped: It was asked to stop meanwhile.
    """
    import tensorflow as tf
    from official.common import distribute_utils

    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    size = len(resolver.cluster_spec().as_dict().get("worker", ()))
    if size < 2:
        kind = "mirrored" if gpus > 1 else "one_device"
        return Team(distribute_utils.get_distribution_strategy(kind, num_gpus=gpus))
    if resolver.task_id != index:
        raise SpecError(
            f"TF_CONFIG calls this worker {resolver.task_id}, JOB_COMPLETION_INDEX {index}; make them equal"
        )
    # It would take all that are there.
    tf.config.set_visible_devices(tf.config.list_physical_devices("GPU")[:gpus], "GPU")
    event("workers_awaited", index=index, workers=size)
    strategy = _await(ThreadPoolExecutor(1).submit(_strategy, resolver, gpus), size, stopping)
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))  # TensorFlow has put a handler of its own there
    event("workers_met", index=index, workers=size)
    return Team(strategy, index, size)


def _strategy(resolver: Any, gpus: int) -> "tf.distribute.Strategy":
    import tensorflow as tf

    communication = tf.distribute.experimental.CommunicationImplementation
    options = tf.distribute.experimental.CommunicationOptions(
        implementation=communication.NCCL if gpus else communication.RING
    )
    return tf.distribute.MultiWorkerMirroredStrategy(resolver, options)


def _await(joining: "Future[Any]", size: int, stopping: Event) -> Any:
    """Wait in steps, since TensorFlow waits where no signal is heard."""
    patience = time.monotonic() + _JOIN_SEC
    while time.monotonic() < patience:
        try:
            return joining.result(timeout=_POLL_SEC)
        except NotYet:
            if stopping.is_set():
                raise Stopped("stopped while waiting for the other workers; nothing is lost") from None
    raise TransientError(
        f"not all of the {size} workers came within {_JOIN_SEC:.0f} s; see which of the pods does not run"
    )
