"""Differences between two runs of one detector, image by image."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from slipway.artifacts.export import Parity
from slipway.errors import SlipwayError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

# Scores are compared at every anchor, boxes at the anchors of the highest scores. Where the image has no object, a box
# can be sixty times as large as its anchor, and its rounding error grows with it.
_COMPARED_ANCHORS = 100


class ParityError(SlipwayError):
    """The export does not detect what the measured model detects: a bug in Slipway, not a mistake of the user."""


@dataclass(frozen=True)
class Tolerance:
    """Largest differences that are allowed between two runs of one model.

    Attributes:
      box_px: In pixels of the model's input; scaled to a large image, the rounding of float32 alone would exceed it.
      unmatched_ratio: Share of the detections. Where the overlap of two boxes equals the NMS threshold to six digits,
        rounding decides whether both are kept, so a few may differ between two runs of the same model.
    """

    box_px: float
    score: float
    unmatched_ratio: float


@dataclass(frozen=True)
class Outputs:
    """Outputs for one image; boxes are (ymin, xmin, ymax, xmax) in pixels of the model's input.

    Attributes:
      boxes: [detections, 4].
      scores: [detections].
      classes: [detections], from 1.
      raw_boxes: [anchors, 4], before score threshold and NMS; None in an export without raw outputs.
      raw_scores: [anchors, labels], likewise.
    """

    boxes: "Floats"
    scores: "Floats"
    classes: "NDArray[np.int64]"
    raw_boxes: "Floats | None" = None
    raw_scores: "Floats | None" = None


def merge(a: Parity, b: Parity) -> Parity:
    """Return the parity of two sets of images: the sum of the counts, and the larger of the differences."""
    return Parity(
        images=a.images + b.images,
        anchors=a.anchors + b.anchors,
        detections=a.detections + b.detections,
        unmatched=a.unmatched + b.unmatched,
        max_box_diff_px=max(a.max_box_diff_px, b.max_box_diff_px),
        max_score_diff=max(a.max_score_diff, b.max_score_diff),
    )


def compare(expected: Outputs, actual: Outputs, tolerance: Tolerance, name: str) -> Parity:
    """Compare each anchor with its counterpart, and each detection with the anchor that it came from.

    Scores that differ in the eighth digit change ranks, so detections are not compared by rank: each must be one of
    the model's own boxes, and their scores must be those of the model's detections.

    Args:
      expected: With the raw boxes and scores.
      name: Of the image, for the error message.

    Raises:
      ParityError: A difference is above the tolerance.
    """
    differences = [_nearest(expected, actual, index, tolerance) for index in range(len(actual.scores))]
    # NumPy's max keeps a NaN, which Python's own may lose.
    box, score = np.max([_raw_difference(expected, actual, name), *differences], axis=0).tolist()
    if not (box <= tolerance.box_px and score <= tolerance.score):
        raise ParityError(
            f"{name}: boxes differ by up to {box:.3g} px (at most {tolerance.box_px:g}), scores by up to {score:.3g} "
            f"(at most {tolerance.score:g}); the export is not the measured model"
        )
    unmatched_count = _count_unmatched(expected, actual, tolerance.score)
    detections = max(len(expected.scores), len(actual.scores))
    if unmatched_count > max(1, tolerance.unmatched_ratio * detections):
        raise ParityError(
            f"{name}: {unmatched_count} of {detections} detections have no counterpart; "
            "the export is not the measured model"
        )
    return Parity(
        images=1,
        anchors=0 if actual.raw_scores is None else len(actual.raw_scores),
        detections=detections,
        unmatched=unmatched_count,
        max_box_diff_px=box,
        max_score_diff=score,
    )


def _raw_difference(expected: Outputs, actual: Outputs, name: str) -> tuple[float, float]:
    """Return the largest differences of boxes and scores over the anchors; 0 without raw outputs."""
    if expected.raw_boxes is None or expected.raw_scores is None:
        return 0.0, 0.0
    if actual.raw_boxes is None or actual.raw_scores is None:
        return 0.0, 0.0
    if expected.raw_scores.shape != actual.raw_scores.shape:
        raise ParityError(
            f"{name}: {actual.raw_scores.shape} anchors and labels, expected {expected.raw_scores.shape}; "
            "the export is not the measured model"
        )
    anchors = np.argsort(-expected.raw_scores.max(axis=1, initial=0), kind="stable")[:_COMPARED_ANCHORS]
    box = np.abs(expected.raw_boxes[anchors] - actual.raw_boxes[anchors]).max(initial=0)
    return float(box), float(np.abs(expected.raw_scores - actual.raw_scores).max(initial=0))


def _nearest(expected: Outputs, actual: Outputs, index: int, tolerance: Tolerance) -> tuple[float, float]:
    """Return the differences of a detection from the nearest anchor's box and score of its class; inf without one."""
    class_id = int(actual.classes[index])
    if expected.raw_boxes is None or expected.raw_scores is None or not 1 <= class_id <= expected.raw_scores.shape[1]:
        return np.inf, np.inf
    boxes = np.abs(expected.raw_boxes - actual.boxes[index]).max(axis=1)
    scores = np.abs(expected.raw_scores[:, class_id - 1] - actual.scores[index])
    nearest = np.argmin(np.maximum(boxes / tolerance.box_px, scores / tolerance.score))
    return float(boxes[nearest]), float(scores[nearest])


def _count_unmatched(expected: Outputs, actual: Outputs, tolerance: float) -> int:
    """Count the detections on each side whose class and score the other side lacks."""
    count = 0
    for class_id in {*expected.classes.tolist(), *actual.classes.tolist()}:
        expected_scores = sorted(expected.scores[expected.classes == class_id].tolist())
        actual_scores = sorted(actual.scores[actual.classes == class_id].tolist())
        while expected_scores and actual_scores:
            difference = expected_scores[-1] - actual_scores[-1]
            if difference >= -tolerance:
                expected_scores.pop()
            if difference <= tolerance:
                actual_scores.pop()
            count += abs(difference) > tolerance
        count += len(expected_scores) + len(actual_scores)
    return count
