"""How far apart two runs of one detector are, image by image."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from slipway.errors import SlipwayError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

# Scores are compared everywhere, boxes at the best anchors, whatever their score. Where nothing is, the box is anything
# up to sixty times its anchor, and so is its rounding.
_TOP = 100


class ParityError(SlipwayError):
    """The export does not detect what the measured model detects: a bug of ours, never the user's fault."""


@dataclass(frozen=True)
class Tolerance:
    """How far two runs of one model may be apart.

    Attributes:
      box_px: In pixels of the model's input; in those of a large image, float32 alone would be further apart.
      unmatched: Share of the detections. Where two boxes overlap by the NMS threshold to six digits, rounding decides
        whether both are kept, so a few may differ between two runs of the same model.
    """

    box_px: float
    score: float
    unmatched: float


@dataclass(frozen=True)
class Outputs:
    """What came out for one image; boxes are (ymin, xmin, ymax, xmax) in pixels of the model's input.

    Attributes:
      boxes: [detections, 4].
      scores: [detections].
      classes: [detections], from 1.
      raw_boxes: [anchors, 4], before score threshold and NMS; an export without them has none.
      raw_scores: [anchors, labels].
    """

    boxes: "Floats"
    scores: "Floats"
    classes: "NDArray[np.int64]"
    raw_boxes: "Floats | None" = None
    raw_scores: "Floats | None" = None


@dataclass(frozen=True)
class Parity:
    """The largest differences over all images, and how much was compared."""

    images: int = 0
    anchors: int = 0
    detections: int = 0
    unmatched: int = 0
    max_box_diff_px: float = 0.0
    max_score_diff: float = 0.0

    def __add__(self, other: "Parity") -> "Parity":
        return Parity(
            self.images + other.images,
            self.anchors + other.anchors,
            self.detections + other.detections,
            self.unmatched + other.unmatched,
            max(self.max_box_diff_px, other.max_box_diff_px),
            max(self.max_score_diff, other.max_score_diff),
        )


def compare(expected: Outputs, got: Outputs, tolerance: Tolerance, where: str) -> Parity:
    """Compare each anchor with its like, and each detection with the anchor it came from.

    Scores that differ in the eighth digit change places, so detections are not compared by rank: each must be one of
    the model's own boxes, and their scores must be those of the model's detections.

    Args:
      expected: With the raw boxes and scores.

    Raises:
      ParityError: A difference is above the tolerance.
    """
    differences = [_nearest(expected, got, index, tolerance) for index in range(len(got.scores))]
    # NumPy's max, for Python's own loses a NaN.
    box, score = np.max([_raw_difference(expected, got, where), *differences], axis=0).tolist()
    if not (box <= tolerance.box_px and score <= tolerance.score):
        raise ParityError(
            f"{where}: boxes differ by up to {box:.3g} px (at most {tolerance.box_px:g}), scores by up to {score:.3g} "
            f"(at most {tolerance.score:g}); the export is not the measured model"
        )
    unmatched, detections = _unmatched(expected, got, tolerance.score), max(len(expected.scores), len(got.scores))
    if unmatched > max(1, tolerance.unmatched * detections):
        raise ParityError(
            f"{where}: {unmatched} of {detections} detections have no counterpart; the export is not the measured model"
        )
    return Parity(1, 0 if got.raw_scores is None else len(got.raw_scores), detections, unmatched, box, score)


def _raw_difference(expected: Outputs, got: Outputs, where: str) -> tuple[float, float]:
    if got.raw_boxes is None or got.raw_scores is None or expected.raw_boxes is None or expected.raw_scores is None:
        return 0.0, 0.0
    if expected.raw_scores.shape != got.raw_scores.shape:
        raise ParityError(
            f"{where}: {got.raw_scores.shape} anchors and labels, expected {expected.raw_scores.shape}; "
            "the export is not the measured model"
        )
    top = np.argsort(-expected.raw_scores.max(axis=1, initial=0), kind="stable")[:_TOP]
    box = np.abs(expected.raw_boxes[top] - got.raw_boxes[top]).max(initial=0)
    return float(box), float(np.abs(expected.raw_scores - got.raw_scores).max(initial=0))


def _nearest(expected: Outputs, got: Outputs, index: int, tolerance: Tolerance) -> tuple[float, float]:
    """Return how far a detection is from the nearest anchor's box and score of its class; infinitely without one."""
    class_id = int(got.classes[index])
    if expected.raw_boxes is None or expected.raw_scores is None or not 1 <= class_id <= expected.raw_scores.shape[1]:
        return np.inf, np.inf
    boxes = np.abs(expected.raw_boxes - got.boxes[index]).max(axis=1)
    scores = np.abs(expected.raw_scores[:, class_id - 1] - got.scores[index])
    nearest = np.argmin(np.maximum(boxes / tolerance.box_px, scores / tolerance.score))
    return float(boxes[nearest]), float(scores[nearest])


def _unmatched(expected: Outputs, got: Outputs, tolerance: float) -> int:
    """Count the detections of either side whose class and score the other lacks."""
    missing = 0
    for class_id in {*expected.classes.tolist(), *got.classes.tolist()}:
        left = sorted(expected.scores[expected.classes == class_id].tolist())
        right = sorted(got.scores[got.classes == class_id].tolist())
        while left and right:
            difference = left[-1] - right[-1]
            if difference >= -tolerance:
                left.pop()
            if difference <= tolerance:
                right.pop()
            missing += abs(difference) > tolerance
        missing += len(left) + len(right)
    return missing
