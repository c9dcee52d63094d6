"""Documents of what a detector gets wrong: kinds of errors and their costs, the confusion matrix, single failures."""

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from pydantic import Field

from slipway.artifacts.detections import BoxSides, DetectedBox
from slipway.models import ArtifactModel

# After Bolya et al. 2020, "TIDE: A General Toolbox for Identifying Object Detection Errors",
# https://arxiv.org/abs/2008.08115. Its sixth kind, a wrong class in a loose box, counts as a wrong class here.
ErrorKind = Literal["missed", "background", "wrong_class", "loose_box", "double"]
ERROR_KINDS: tuple[ErrorKind, ...] = get_args(ErrorKind)
KIND_MEANINGS: Mapping[ErrorKind, str] = {
    "missed": "no detection near an annotated box",
    "background": "a detection where no box is annotated",
    "wrong_class": "a detection of another class than the annotated box",
    "loose_box": "the right class, but a box that overlaps too little (IoU 0.1 to 0.5)",
    "double": "a further detection of a box that is already detected",
}


def kind_name(kind: ErrorKind) -> str:
    """Return the kind as people read it."""
    return kind.replace("_", " ")


class ErrorCount(ArtifactModel):
    """The errors of one kind.

    Attributes:
      count: Errors of the detections that pass the score thresholds.
      ap50_cost: How much higher AP50 would be without this kind, over detections of every score.
    """

    kind: ErrorKind
    count: int
    ap50_cost: float = Field(alias="AP50_cost")


class Confusion(ArtifactModel):
    """Boxes of one label that are detected as another.

    Attributes:
      annotated: None for a detection that matches no box of any label.
      detected: None for a box that no detection matches.
    """

    annotated: str | None
    detected: str | None
    count: int


class ConfusionMatrix(ArtifactModel):
    """Annotated boxes and the detections that match them at IoU 0.5, whatever their labels.

    Attributes:
      labels: In the order of class ids.
      counts: A row for each annotated label and a column for each detected one; the last of both is the background.
        A row adds up to the annotated boxes of its label, a column to the detections of its label.
    """

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]

    def confusions(self) -> list[Confusion]:
        """List the labels that are taken for another one or for background, the most frequent first."""
        names: Sequence[str | None] = (*self.labels, None)
        confusions = [
            Confusion(annotated=annotated, detected=detected, count=count)
            for annotated, row in zip(names, self.counts, strict=True)
            for detected, count in zip(names, row, strict=True)
            if count and annotated != detected
        ]
        return sorted(confusions, key=lambda confusion: -confusion.count)


class FailedBox(ArtifactModel):
    """An annotated box that a failure is about; `class_id` is from 1, as in the label map."""

    label: str
    class_id: int
    box: BoxSides


class Failure(ArtifactModel):
    """One error in one image.

    Attributes:
      filename: Relative to the source folder.
      annotated: The annotated box that the detection overlaps most, or that is missed; None for background.
      detected: None for a missed box.
      iou: Overlap of the two; 0 without either.
    """

    kind: ErrorKind
    filename: str
    annotated: FailedBox | None = None
    detected: DetectedBox | None = None
    iou: float = 0.0


class ErrorAnalysis(ArtifactModel):
    """What the best checkpoint gets wrong on the split whose metrics are reported.

    Key: `runs/<run>/evaluate/errors.json`. Writer: evaluator, once all checkpoints are measured. Readers: exporter (for
    the model card), detector (for the run's report), command.

    Attributes:
      split: The split of the images.
      kinds: Each kind of error, in the order of `ERROR_KINDS`.
      failures: The worst of each kind first, where there are too many for all of them.
      advice: At most three sentences on the next step, the most important first.
    """

    split: str
    kinds: tuple[ErrorCount, ...]
    confusion: ConfusionMatrix
    failures: tuple[Failure, ...] = ()
    advice: tuple[str, ...] = ()

    @property
    def failure_count(self) -> int:
        """Number of all failures; `failures` may hold fewer."""
        return sum(kind.count for kind in self.kinds)
