"""Detections matched with annotated boxes as COCO does it: best first, each with the free box that it overlaps most."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from slipway.dataset.boxes import Box

from services.evaluator.coco import Detection, GroundTruth, TrueBox, without_difficult

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

COCO_IOUS: tuple[float, ...] = tuple(np.linspace(0.5, 0.95, 10).tolist())


@dataclass(frozen=True)
class ImageMatches:
    """One image, and which of its detections match which of its annotated boxes.

    Attributes:
      detections: Best first.
      ious: float [detections, boxes], whatever their classes.
      matches: int [detections, IoU thresholds]: index of the matched box of the detection's class; -1 for none.
    """

    source_id: int
    detections: Sequence[Detection]
    boxes: Sequence[TrueBox]
    ious: Floats
    matches: Integers

    @cached_property
    def class_ids(self) -> Integers:
        """int [detections]."""
        return np.array([detection.class_id for detection in self.detections], np.int64)

    @cached_property
    def scores(self) -> Floats:
        """float [detections]."""
        return np.array([detection.score for detection in self.detections], np.float64)

    @cached_property
    def box_class_ids(self) -> Integers:
        """int [boxes]."""
        return np.array([box.class_id for box in self.boxes], np.int64)


def match_images(
    truth: GroundTruth, detections: Iterable[Detection], thresholds: Sequence[float] = COCO_IOUS
) -> list[ImageMatches]:
    """Match the detections of every image of a split, in the order of source ids, but for those of difficult objects.

    Args:
      thresholds: IoU at which a detection matches a box, ascending; each is matched on its own.
    """
    detections_of, boxes_of = defaultdict(list), defaultdict(list)
    for detection in without_difficult(truth, detections):
        detections_of[detection.image_id].append(detection)
    for box in truth.boxes:
        boxes_of[box.image_id].append(box)
    return [
        _match_image(source_id, _best_first(detections_of[source_id]), boxes_of[source_id], thresholds)
        for source_id in sorted(truth.sizes)
    ]


def _best_first(detections: Iterable[Detection]) -> list[Detection]:
    return sorted(detections, key=lambda detection: -detection.score)


def _match_image(
    source_id: int, detections: Sequence[Detection], boxes: Sequence[TrueBox], thresholds: Sequence[float]
) -> ImageMatches:
    ious = _ious([detection.box for detection in detections], [box.box for box in boxes])
    unmatched = np.full((len(detections), len(thresholds)), -1, np.int64)
    image = ImageMatches(source_id, detections, boxes, ious, unmatched)
    if detections and boxes:
        is_same_class = image.class_ids[:, None] == image.box_class_ids
        _match(np.where(is_same_class, ious, -1.0), np.array(thresholds), image.matches)
    return image


def _match(ious: Floats, thresholds: Floats, matches: Integers) -> None:
    """Fill in the matches; of boxes that a detection overlaps equally, COCO takes the last."""
    is_free = np.ones((len(thresholds), ious.shape[1]), bool)
    for row in np.flatnonzero(ious.max(axis=1) >= thresholds[0]):
        overlaps = np.where(is_free, ious[row], -1.0)
        best = ious.shape[1] - 1 - np.argmax(overlaps[:, ::-1], axis=1)
        hits = np.flatnonzero(overlaps[np.arange(len(thresholds)), best] >= thresholds)
        matches[row, hits] = best[hits]
        is_free[hits, best[hits]] = False


def _ious(detections: Sequence[Box], boxes: Sequence[Box]) -> Floats:
    """Return intersection over union, float [detections, boxes]; 0 where both are empty."""
    first, second = (np.array(sides, np.float64).reshape(-1, 4) for sides in (detections, boxes))
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    intersection = np.prod(np.maximum(high - low, 0.0), axis=2)
    areas = np.prod(first[:, 2:] - first[:, :2], axis=1)[:, None] + np.prod(second[:, 2:] - second[:, :2], axis=1)
    ious: Floats = np.zeros_like(intersection)
    np.divide(intersection, areas - intersection, out=ious, where=intersection > 0)
    return ious
