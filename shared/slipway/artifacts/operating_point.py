"""Operating point of a detector: the score thresholds with the best F1, as the evaluator measured them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from slipway.models import ArtifactModel
from slipway.run.spec import UNMEASURED_SCORE_THRESHOLD

MIN_BOXES = 10  # with fewer boxes of a label, one more or less detected moves its best threshold far


class Rates(ArtifactModel):
    """Detections that count, compared with the annotated boxes at IoU 0.5; -1 where there is no box to find.

    Attributes:
      precision: Share of the detections that match a box.
      recall: Share of the boxes that a detection matches.
      f1: Harmonic mean of both.
    """

    precision: float
    recall: float
    f1: float


class OperatingPoint(Rates):
    """Rates of the detections whose score is at least `threshold`."""

    threshold: float


class ClassOperatingPoint(OperatingPoint):
    """Rates of one label.

    Attributes:
      boxes: Of the label, in the split that chose the thresholds.
      is_overall: The threshold is that over all labels, since the split has too few boxes of this one.
    """

    label: str
    boxes: int
    is_overall: bool = False


class OperatingPoints(ArtifactModel):
    """The thresholds with the best F1, over all labels and of each; part of `BestCheckpoint` and `ExportManifest`.

    Attributes:
      split: The split that chose the thresholds.
      overall: All labels with one threshold, on that split.
      per_class: Each label with its own threshold, on that split, in the order of class ids.
      reported: All labels, each with its own threshold, on the split whose metrics are reported.
    """

    split: str
    overall: OperatingPoint
    per_class: tuple[ClassOperatingPoint, ...] = ()
    reported: Rates | None = None


@dataclass(frozen=True)
class ScoreThresholds:
    """The lowest score of a detection that counts.

    Attributes:
      overall: Of every label that `by_label` lacks.
    """

    overall: float
    by_label: Mapping[str, float] = field(default_factory=dict)

    def of(self, label: str) -> float:
        """Return the threshold of one label."""
        return self.by_label.get(label, self.overall)


def choose_thresholds(requested: float | None, points: OperatingPoints | None) -> ScoreThresholds:
    """Return the thresholds that apply to a model.

    Args:
      requested: One threshold for all labels, which overrides the measured ones.
      points: None for a model that an older version measured; its threshold is that version's fixed one.
    """
    if requested is not None:
        return ScoreThresholds(requested)
    if points is None:
        return ScoreThresholds(UNMEASURED_SCORE_THRESHOLD)
    by_label = {point.label: point.threshold for point in points.per_class if not point.is_overall}
    return ScoreThresholds(points.overall.threshold, by_label)
