"""Documents of an evaluation: a row for each measured checkpoint, the best one, its curves, the verdict."""

from collections.abc import Mapping

from pydantic import Field, RootModel

from slipway.artifacts.operating_point import OperatingPoints
from slipway.artifacts.outcome import StageResult
from slipway.models import ArtifactModel

FEW_IMAGES = 30  # with fewer, one detection more or less changes AP50 by several points
USABLE_AP50 = 0.5  # below it, a detector misses or invents so much that its pictures mislead
_NO_BOXES = -1.0


class CocoMetrics(ArtifactModel):
    """COCO's metrics under Model Garden's names, each in [0, 1]; -1 where there is no box to find.

    Attributes:
      ap: Mean precision over recall, at IoU 0.50 to 0.95.
      aps, apm, apl: AP of boxes under 32², up to 96², and above, in square pixels.
      ar_max1, ar_max10, ar_max100: Recall with at most 1, 10 or 100 detections per image; the last with all that the
        detector gives if these are more.
    """

    ap: float = Field(alias="AP")
    ap50: float = Field(alias="AP50")
    ap75: float = Field(_NO_BOXES, alias="AP75")
    aps: float = Field(_NO_BOXES, alias="APs")
    apm: float = Field(_NO_BOXES, alias="APm")
    apl: float = Field(_NO_BOXES, alias="APl")
    ar_max1: float = Field(_NO_BOXES, alias="ARmax1")
    ar_max10: float = Field(_NO_BOXES, alias="ARmax10")
    ar_max100: float = Field(_NO_BOXES, alias="ARmax100")
    ars: float = Field(_NO_BOXES, alias="ARs")
    arm: float = Field(_NO_BOXES, alias="ARm")
    arl: float = Field(_NO_BOXES, alias="ARl")

    def by_name(self) -> dict[str, float]:
        """Return the metrics that were measured, under their names in the document, in COCO's order."""
        return {
            str(field.alias): getattr(self, name)
            for name, field in CocoMetrics.model_fields.items()
            if name in self.model_fields_set
        }


class MeasuredRow(CocoMetrics):
    """One checkpoint, measured on one split.

    Key: `runs/<run>/evaluate/metrics.jsonl`, a line per checkpoint and split. Writer: evaluator. Readers: evaluator
    (after a restart), detector (for the run's report), API.

    Attributes:
      loss: Mean validation loss.
    """

    step: int
    split: str
    loss: float | None = None

    @classmethod
    def of(cls, step: int, split: str, loss: float, metrics: CocoMetrics) -> "MeasuredRow":
        """Build the row of one measurement."""
        return cls.model_validate({"step": step, "split": split, "loss": loss, **metrics.by_name()})

    @property
    def metrics(self) -> CocoMetrics:
        """The metrics without step, split and loss."""
        return CocoMetrics.model_validate(self.by_name())


class Interval(ArtifactModel):
    """A range that covers, in 95 of 100 cases, what would be measured on very many images of the same kind."""

    low: float
    high: float

    @property
    def width(self) -> float:
        """From one end to the other."""
        return self.high - self.low

    def __str__(self) -> str:
        return f"{self.low:.2f} to {self.high:.2f}"


class ScoreIntervals(ArtifactModel):
    """The intervals of AP and AP50, from the spread of both over resampled images."""

    ap: Interval = Field(alias="AP")
    ap50: Interval = Field(alias="AP50")


class ClassScore(ArtifactModel):
    """The metrics of one label.

    Attributes:
      images, boxes: Numbers of those in the split that have the label.
      intervals: None before the last checkpoint is measured, and where fewer than two images have the label.
    """

    label: str
    ap: float = Field(_NO_BOXES, alias="AP")
    ap50: float = Field(_NO_BOXES, alias="AP50")
    images: int = 0
    boxes: int = 0
    intervals: ScoreIntervals | None = None


class MeasuredCheckpoint(ArtifactModel):
    """A checkpoint and its metrics on one split."""

    step: int
    split: str
    metrics: CocoMetrics


class BestCheckpoint(MeasuredCheckpoint):
    """The best checkpoint so far, with its metrics on `split`.

    Key: `runs/<run>/evaluate/best.json`. Writer: evaluator, whenever a better one was measured. Readers: evaluator,
    exporter, detector (for the run's report), controller, command.

    Attributes:
      chosen_on: The split by whose AP it was chosen.
      note: A reason why the figures are too good, if there is one.
      images: Number of images of the split.
      intervals: None before the last checkpoint is measured, with fewer than two images, and in an older document.
      operating_points: None in a document of an older version.
      last: The last checkpoint on the same split, once all are measured.
    """

    chosen_on: str
    note: str = ""
    images: int = 0
    per_class: tuple[ClassScore, ...] = ()
    intervals: ScoreIntervals | None = None
    operating_points: OperatingPoints | None = None
    last: MeasuredCheckpoint | None = None

    @property
    def warning(self) -> str:
        """One sentence for a detector that is not to be relied on; otherwise empty."""
        if not 0 <= self.metrics.ap50 < USABLE_AP50:
            return ""
        return (
            f"AP50 is {self.metrics.ap50:.2f}, below {USABLE_AP50}: do not rely on this detector, "
            "which misses objects or finds them where there are none; train it longer, or on more images."
        )

    @property
    def interval_note(self) -> str:
        """AP50 and AP with their intervals; empty without them."""
        if not self.intervals:
            return ""
        return (
            f"AP50 {self.metrics.ap50:.2f} ({self.intervals.ap50}), AP {self.metrics.ap:.2f} ({self.intervals.ap}): "
            f"95 % intervals, from the spread over {self.images:,} {self.split} images"
        )

    @property
    def threshold_note(self) -> str:
        """One sentence on the detections that pass the measured thresholds; empty without them, or without boxes."""
        points, rates = self.operating_points, self.operating_points and self.operating_points.reported
        if not points or not rates or rates.recall < 0:
            return ""
        figures = f"precision {rates.precision:.2f}, recall {rates.recall:.2f}, F1 {rates.f1:.2f}"
        note = f"With the score thresholds of the best F1 on {points.split}: {figures} on {self.split}"
        return f"{note}, the same images, which flatters them." if points.split == self.split else f"{note}."


class Verdict(ArtifactModel):
    """The evaluator's decisions so far.

    Key: `runs/<run>/evaluate/verdict.json`. Writer: evaluator, after each checkpoint. Reader: trainer.

    Attributes:
      best: Global step of the best checkpoint.
      last: Global step of the last measured checkpoint.
      stop: Patience is used up: the training should end.
      final: The last checkpoint of the training was measured.
    """

    best: int
    last: int
    stop: bool = False
    final: bool = False


class Curve(ArtifactModel):
    """Precision over recall at IoU 0.5: two lists of one length."""

    recall: tuple[float, ...]
    precision: tuple[float, ...]


class Curves(RootModel[Mapping[str, Curve]], ArtifactModel):
    """The curves of the best checkpoint, by label; a label without boxes has none.

    Key: `runs/<run>/evaluate/curves.json`. Writer: evaluator. Reader: detector (for the run's report).
    """


class EvaluateResult(MeasuredCheckpoint, StageResult):
    """The best checkpoint of a training whose checkpoints are all measured; the details are in `BestCheckpoint`.

    Key: `runs/<run>/evaluate/result.json`. Writer: evaluator. Readers: people.
    """

    chosen_on: str
    last: MeasuredCheckpoint | None = None
