"""Documents of a training: progress lines, checkpoint listings, the trainer's result."""

from collections.abc import Mapping

from pydantic import ConfigDict, Field

from slipway.artifacts.outcome import StageResult
from slipway.artifacts.weights import RestoredWeights
from slipway.models import ArtifactModel


class ProgressLine(ArtifactModel):
    """One loop of training steps.

    Key: `runs/<run>/train/progress.jsonl`, a line per loop. Writer: trainer. Readers: trainer (after a restart),
    controller (the last line), detector (for the run's report), API.

    Attributes:
      step: Global step at the end of the loop.
      loss: Total training loss, a mean over the loop.
      input_wait_ratio: Share of the loop's time that was spent waiting for images; absent from the first loop, which
        also traces the graph.
      images_per_sec: Absent from the first loop too.

    Whatever else Model Garden reports, such as the parts of the loss, keeps its name and is in `extras`.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, float] = Field(init=False)

    step: int
    loss: float
    learning_rate: float = 0.0
    input_wait_ratio: float | None = None
    images_per_sec: float | None = None

    @property
    def extras(self) -> dict[str, float]:
        """The numbers that Model Garden reports besides, under its names."""
        return self.__pydantic_extra__


class CheckpointListing(ArtifactModel):
    """The files of a checkpoint; written after them, so a checkpoint without it does not exist.

    Key: `<folder>/ckpt-<step>.json`. Writers: trainer, and evaluator of the best. Readers: trainer (after a restart),
    evaluator, exporter.

    Attributes:
      files: Name to sha256.
      last: Whether the training ended with it; false for a copy of the best.
    """

    step: int
    files: Mapping[str, str]
    last: bool = False


class TrainResult(StageResult):
    """The outcome of a training.

    Key: `runs/<run>/train/result.json`. Writer: worker 0 of the trainer. Readers: command, controller.

    Attributes:
      steps: Global step at which the training ended.
      best_step: Global step of the best checkpoint.
      weights: What was restored of the initial checkpoint; None if it was trained from scratch.
    """

    steps: int
    best_step: int
    preset: str = ""
    weights: RestoredWeights | None = None
