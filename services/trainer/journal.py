"""Progress of a training: log events, `progress.jsonl`, TensorBoard's event file, gauges."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from slipway import keys
from slipway.artifacts.json_io import read_lines, write_document, write_lines
from slipway.artifacts.training import ProgressLine
from slipway.artifacts.weights import RestoredWeights
from slipway.events import event
from slipway.metrics import stage_gauges
from slipway.run.plan import Plan
from slipway.store.interface import ObjectStore

from services.trainer.gpu_memory import record_gpu_memory

_SAVE_SEC = 5.0


@dataclass(frozen=True)
class LoopMetrics:
    """Metrics of one loop of training steps.

    Attributes:
      step: Global step at the end of the loop.
      loss: Total training loss, a mean over the loop.
      input_wait_ratio: Share of the loop's time that passed waiting for images.
      numbers: Everything else that Model Garden reports: the learning rate, and the parts of the loss.
    """

    step: int
    loss: float
    input_wait_ratio: float
    numbers: Mapping[str, float]


class Journal:
    """Records the progress of a training; only worker 0 has one.

    After a restart it continues the stored lines, without those past the checkpoint from which the training resumes.

    Args:
      folder: An empty local folder for the event file.
    """

    def __init__(self, store: ObjectStore, run: str, plan: Plan, folder: Path) -> None:
        import tensorflow as tf

        stage_gauges.TRAINING_STEPS.set(plan.steps)
        self._store, self._run, self._plan, self._folder = store, run, plan, folder
        self._writer = tf.summary.create_file_writer(str(folder))
        self._lines: list[ProgressLine] = []
        self._is_first = True
        self._loop_end = self._save_time = time.monotonic()

    def record_weights(self, restored: Mapping[str, int], new: Mapping[str, int]) -> None:
        """Record what was restored of the initial checkpoint: numbers of variables by module."""
        weights = RestoredWeights(
            address=str(self._plan.initial_checkpoint),
            sha256=self._plan.initial_checkpoint_sha256 or "",
            restored=restored,
            new=new,
        )
        counts = {"restored": sum(restored.values()), "new": sum(new.values())}
        event("weights_restored", address=weights.address, sha256=weights.sha256 or None, **counts)
        write_document(self._store, keys.restored_weights(self._run), weights)

    def record_loop(self, loop: LoopMetrics) -> None:
        """Record one loop of training steps."""
        now = time.monotonic()
        if self._is_first:
            self._lines = self._stored_lines(loop.step)
        line = self._progress_line(loop, now)
        self._is_first, self._loop_end = False, now
        self._lines.append(line)
        event("step", **{"step": line.step, "steps": self._plan.steps, **line.content()})
        _set_gauges(line)
        self._write_summaries(line)
        if now - self._save_time > _SAVE_SEC:
            self._save()

    def record_checkpoint(self, step: int) -> None:
        """Record a published checkpoint."""
        event("checkpoint_saved", step=step)
        stage_gauges.CHECKPOINT_STEP.set(step)
        stage_gauges.CHECKPOINT_TIME.set(time.time())
        self._save()

    def _progress_line(self, loop: LoopMetrics, now: float) -> ProgressLine:
        rates = {}
        if not self._is_first:  # the first loop also traces the graph, so its rates would mislead
            steps = loop.step - self._lines[-1].step
            images_per_sec = round(steps * self._plan.batch_size / (now - self._loop_end), 1)
            rates = {"input_wait_ratio": loop.input_wait_ratio, "images_per_sec": images_per_sec}
        return ProgressLine.model_validate({"step": loop.step, "loss": loop.loss, **loop.numbers, **rates})

    def _write_summaries(self, line: ProgressLine) -> None:
        import tensorflow as tf

        record_gpu_memory(tf.config)
        with self._writer.as_default(step=line.step):
            for name, value in line.content().items():
                if name != "step":
                    tf.summary.scalar(name, value)

    def _stored_lines(self, step: int) -> list[ProgressLine]:
        """Return the lines of earlier attempts before the step."""
        return [line for line in read_lines(self._store, keys.progress(self._run), ProgressLine) if line.step < step]

    def _save(self) -> None:
        write_lines(self._store, keys.progress(self._run), self._lines)
        self._writer.flush()
        for file in self._folder.iterdir():
            self._store.upload(file, f"{keys.stage(self._run, 'train')}/{file.name}")
        self._save_time = time.monotonic()


def _set_gauges(line: ProgressLine) -> None:
    stage_gauges.TRAINING_STEP.set(line.step)
    stage_gauges.TRAINING_RATE.set(line.learning_rate)
    if line.images_per_sec is not None and line.input_wait_ratio is not None:
        stage_gauges.TRAINING_SPEED.set(line.images_per_sec)
        stage_gauges.TRAINING_INPUT_WAIT.set(line.input_wait_ratio)
    stage_gauges.TRAINING_TIME.set(time.time())
    stage_gauges.mark_progress()
