"""Cost of each kind of error: how much higher AP50 would be if the detector did not make errors of this kind.

As in Bolya et al. 2020 (TIDE), over detections of every score, one kind at a time: a detection on background and a
double are removed; a wrong class or a loose box becomes a match of its annotated box, if that has no other, and is
removed otherwise; missed boxes are not counted. The costs do not add up to the missing AP50, since an error may hide
another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from slipway.artifacts.error_analysis import ERROR_KINDS, ErrorKind

from services.evaluator.error_kinds import MATCH, Texts, first_of_each_box, judge
from services.evaluator.intervals import ClassMatches, average_precision
from services.evaluator.matching import Flags, Floats, ImageMatches, Integers


@dataclass(frozen=True)
class _Detections:
    """All detections of a split.

    Attributes:
      classes: int [detections].
      scores: float [detections].
      kinds: str [detections].
      fixed_classes: int [detections]: class of the box that the detection matches once it is fixed; 0 if it is removed.
      boxes, missed: int [class ids]: number of all annotated boxes, and of the missed ones.
    """

    classes: Integers
    scores: Floats
    kinds: Texts
    fixed_classes: Integers
    boxes: Integers
    missed: Integers


def ap50_costs(class_count: int, images: Sequence[ImageMatches]) -> Mapping[ErrorKind, float]:
    """Return the AP50 that each kind of error costs, at least 0."""
    detections = _collect(class_count, images)
    is_match = detections.kinds == MATCH
    everything = np.ones(len(is_match), bool)
    ap50 = _ap50(detections, everything, is_match, detections.classes, detections.boxes)
    costs: dict[ErrorKind, float] = {}
    for kind in ERROR_KINDS:
        is_kind = detections.kinds == kind
        is_fixed = is_kind & (detections.fixed_classes > 0)
        classes = np.where(is_fixed, detections.fixed_classes, detections.classes)
        boxes = detections.boxes - (detections.missed if kind == "missed" else 0)
        fixed_ap50 = _ap50(detections, ~is_kind | is_fixed, is_match | is_fixed, classes, boxes)
        costs[kind] = max(fixed_ap50 - ap50, 0.0)
    return costs


def _collect(class_count: int, images: Sequence[ImageMatches]) -> _Detections:
    judgements = [judge(image, np.ones(len(image.detections), bool)) for image in images]
    fixed_classes = [np.zeros(len(judgement.rows), np.int64) for judgement in judgements]
    boxes, missed = np.zeros((2, class_count + 1), np.int64)
    for image, judgement, classes in zip(images, judgements, fixed_classes, strict=True):
        for kind in ("wrong_class", "loose_box"):
            positions = first_of_each_box(judgement, kind)
            classes[positions] = image.box_class_ids[judgement.boxes[positions]]
        np.add.at(boxes, image.box_class_ids, 1)
        np.add.at(missed, image.box_class_ids[judgement.missed], 1)
    return _Detections(
        classes=np.concatenate([image.class_ids for image in images]),
        scores=np.concatenate([image.scores for image in images]),
        kinds=np.concatenate([judgement.kinds for judgement in judgements]),
        fixed_classes=np.concatenate(fixed_classes),
        boxes=boxes,
        missed=missed,
    )


def _ap50(detections: _Detections, remains: Flags, is_match: Flags, classes: Integers, boxes: Integers) -> float:
    """Return the mean AP50 of the classes that have boxes; 1 for a class of which only missed boxes are left out."""
    scores = []
    one_draw = np.ones((1, 1), np.int64)
    for class_id in np.flatnonzero(detections.boxes):
        rows = np.flatnonzero(remains & (classes == class_id))
        rows = rows[np.argsort(-detections.scores[rows], kind="stable")]
        matches = ClassMatches(np.zeros(len(rows), np.int64), is_match[rows][:, None], boxes[class_id : class_id + 1])
        scores.append(float(average_precision(matches, one_draw)[0, 0]) if boxes[class_id] else 1.0)
    return float(np.mean(scores)) if scores else 0.0
