"""Detections of a split → the score thresholds with the best F1, over all labels and of each.

A threshold lies between the lowest score that it lets through and the next lower one, near the middle: an export whose
scores differ in the last digits from those that were measured detects the same boxes.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from slipway.artifacts.operating_point import (
    MIN_BOXES,
    ClassOperatingPoint,
    OperatingPoint,
    OperatingPoints,
    Rates,
    ScoreThresholds,
    choose_thresholds,
)
from slipway.dataset.labels import LabelMap
from slipway.run.spec import UNMEASURED_SCORE_THRESHOLD

from services.evaluator.coco import Detection, GroundTruth
from services.evaluator.matching import match_images

_IOU = 0.5
_NO_BOXES = Rates(precision=-1.0, recall=-1.0, f1=-1.0)


@dataclass(frozen=True)
class Matches:
    """The detections of a split, each with whether it matches an annotated box of its class.

    Attributes:
      class_ids: int [detections].
      scores: float [detections].
      is_match: bool [detections].
      boxes: Class id to the number of annotated boxes.
    """

    labels: LabelMap
    class_ids: Any
    scores: Any
    is_match: Any
    boxes: Mapping[int, int]

    @property
    def box_count(self) -> int:
        return sum(self.boxes.values())

    def of_class(self, class_id: int) -> "Matches":
        """Return those of one class."""
        chosen, boxes = self.class_ids == class_id, {class_id: self.boxes.get(class_id, 0)}
        return Matches(self.labels, self.class_ids[chosen], self.scores[chosen], self.is_match[chosen], boxes)


def match_detections(truth: GroundTruth, detections: Iterable[Detection]) -> Matches:
    """Match the detections of a split at IoU 0.5."""
    import numpy as np

    images = match_images(truth, detections, (_IOU,))
    return Matches(
        labels=truth.labels,
        class_ids=np.concatenate([image.class_ids for image in images]),
        scores=np.concatenate([image.scores for image in images]),
        is_match=np.concatenate([image.matches[:, 0] >= 0 for image in images]),
        boxes=Counter(box.class_id for box in truth.boxes),
    )


def choose_operating_points(split: str, matches: Matches) -> OperatingPoints:
    """Choose the thresholds on a split, and measure them there."""
    best = _best_threshold(matches)
    # Where nothing matches, no threshold is better than another: the fixed one at least hides the lowest scores.
    threshold = UNMEASURED_SCORE_THRESHOLD if best is None else best
    overall = OperatingPoint(threshold=threshold, **_rates(matches, ScoreThresholds(threshold)).content())
    return OperatingPoints(split=split, overall=overall, per_class=tuple(_class_points(matches, threshold)))


def report_on(points: OperatingPoints, matches: Matches) -> OperatingPoints:
    """Add the rates that the chosen thresholds have on another split, or on the same one."""
    return points.model_copy(update={"reported": _rates(matches, choose_thresholds(None, points))})


def _class_points(matches: Matches, overall_threshold: float) -> Iterator[ClassOperatingPoint]:
    """Yield the point of each label; one with few boxes, or of which no box is found, gets the overall threshold."""
    for class_id, label in enumerate(matches.labels.names, start=1):
        of_class = matches.of_class(class_id)
        best = _best_threshold(of_class) if of_class.box_count >= MIN_BOXES else None
        threshold = overall_threshold if best is None else best
        rates = _rates(of_class, ScoreThresholds(threshold)).content()
        yield ClassOperatingPoint(
            label=label, boxes=of_class.box_count, is_overall=best is None, threshold=threshold, **rates
        )


def _best_threshold(matches: Matches) -> float | None:
    """Return the threshold of the best F1, the highest of equals; None where no detection matches."""
    import numpy as np

    if not matches.is_match.any():
        return None
    order = np.argsort(-matches.scores, kind="stable")
    scores, hits = matches.scores[order], np.cumsum(matches.is_match[order])
    ends = np.flatnonzero(np.append(scores[1:] != scores[:-1], True))  # equal scores pass a threshold together
    f1 = 2 * hits[ends] / (ends + 1 + matches.box_count)
    best = int(np.argmax(f1))
    next_score = scores[ends[best + 1]] if best + 1 < len(ends) else 0.0
    return _middle(float(next_score), float(scores[ends[best]]))


def _middle(low: float, high: float) -> float:
    """Return a number in the middle half between two scores, with as few decimals as that allows."""
    middle, tolerance = (low + high) / 2, (high - low) / 4
    rounded = (round(middle, decimals) for decimals in range(2, 16))
    return next((number for number in rounded if abs(number - middle) <= tolerance), middle)


def _rates(matches: Matches, thresholds: ScoreThresholds) -> Rates:
    """Measure the detections that pass the thresholds of their labels."""
    import numpy as np

    if not matches.box_count:
        return _NO_BOXES
    by_class = np.array([np.inf, *map(thresholds.of, matches.labels.names)])  # class ids begin at 1
    passes = matches.scores >= by_class[matches.class_ids]
    count, hits = int(passes.sum()), int((passes & matches.is_match).sum())
    return Rates(
        precision=hits / count if count else 0.0,
        recall=hits / matches.box_count,
        f1=2 * hits / (count + matches.box_count),
    )
