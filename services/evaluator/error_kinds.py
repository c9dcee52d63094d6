"""Errors of a detector, each of one kind: missed, background, wrong class, loose box or double.

The annotated box that a detection overlaps most decides its kind: below IoU 0.1 the detection is on background; if the
box has another class, its class is wrong; else the box is loose below IoU 0.5, and from there on a double, since a
better detection matches the annotated box. A box is missed if no detection matches it, and none would do so with the
right class or a tighter box. The kinds are those of Bolya et al. 2020 (TIDE), where a wrong class in a loose box is a
kind of its own.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slipway.artifacts.detections import BoxSides, DetectedBox
from slipway.artifacts.error_analysis import ERROR_KINDS, ConfusionMatrix, ErrorKind, FailedBox, Failure
from slipway.artifacts.operating_point import ScoreThresholds
from slipway.dataset.boxes import Box
from slipway.dataset.labels import LabelMap

from services.evaluator.coco import Detection, GroundTruth, TrueBox
from services.evaluator.matching import Flags, ImageMatches, Integers

Texts = NDArray[np.str_]

MATCH = "match"
_BACKGROUND_IOU, _MATCH_IOU = 0.1, 0.5
_MAX_FAILURES = 300  # as many as a person looks through, and a page has room for


@dataclass(frozen=True)
class Judgement:
    """One image's detections that count, and its annotated boxes, each right or wrong.

    Attributes:
      rows: int [n]: indices of the detections that count, best first.
      kinds: str [n]: `match`, or the kind of the error.
      boxes: int [n]: index of the annotated box that the detection matches, or else overlaps most; -1 without boxes.
      is_fixable: bool [n]: the detection would match its box with the right class or a tighter box.
      missed: int [m]: indices of the boxes that are missed.
    """

    rows: Integers
    kinds: Texts
    boxes: Integers
    is_fixable: Flags
    missed: Integers


def judge(image: ImageMatches, counts: Flags) -> Judgement:
    """Find the kind of each error.

    Args:
      counts: bool [detections]: whether the detection counts; of each class the best ones.
    """
    rows = np.flatnonzero(counts)
    if not image.boxes:
        nothing = np.zeros(0, np.int64)
        kinds = np.full(len(rows), "background", dtype="U11")
        return Judgement(rows, kinds, np.full(len(rows), -1), np.zeros(len(rows), bool), nothing)
    matches, ious = image.matches[rows, 0], image.ious[rows]
    is_same_class = image.class_ids[rows, None] == image.box_class_ids
    overlapped = np.argmax(ious + 1e-9 * is_same_class, axis=1)  # of two equal boxes, that of its own class
    boxes = np.where(matches >= 0, matches, overlapped)
    every = np.arange(len(rows))
    overlaps, is_right_class = ious[every, boxes], is_same_class[every, boxes]
    kinds = np.select(
        [matches >= 0, overlaps < _BACKGROUND_IOU, ~is_right_class, overlaps >= _MATCH_IOU],
        [MATCH, "background", "wrong_class", "double"],
        "loose_box",
    )
    is_free = np.ones(len(image.boxes), bool)
    is_free[matches[matches >= 0]] = False
    is_one_step_away = (kinds == "loose_box") | ((kinds == "wrong_class") & (overlaps >= _MATCH_IOU))
    is_fixable = is_one_step_away & is_free[boxes]
    is_free[boxes[is_fixable]] = False
    return Judgement(rows, kinds, boxes, is_fixable, np.flatnonzero(is_free))


def first_of_each_box(judgement: Judgement, kind: ErrorKind) -> Integers:
    """Return the positions of the best fixable detection of a kind for each annotated box: int [n]."""
    positions = np.flatnonzero(judgement.is_fixable & (judgement.kinds == kind))
    return positions[np.unique(judgement.boxes[positions], return_index=True)[1]]


def reach_thresholds(image: ImageMatches, labels: LabelMap, thresholds: ScoreThresholds) -> Flags:
    """Return whether each detection reaches the threshold of its label: bool [detections]."""
    by_class = np.array([np.inf, *map(thresholds.of, labels.names)])  # class ids begin at 1
    return image.scores >= by_class[image.class_ids]


def confusion_matrix(
    labels: LabelMap, images: Sequence[ImageMatches], judgements: Sequence[Judgement]
) -> ConfusionMatrix:
    """Count annotated labels against detected ones; a box that is detected right is not taken for another label."""
    background = len(labels.names)
    counts = np.zeros((background + 1, background + 1), np.int64)
    for image, judgement in zip(images, judgements, strict=True):
        is_pair = judgement.kinds == MATCH
        is_pair[first_of_each_box(judgement, "wrong_class")] = True
        annotated = np.full(len(judgement.rows), background)
        annotated[is_pair] = image.box_class_ids[judgement.boxes[is_pair]] - 1
        np.add.at(counts, (annotated, image.class_ids[judgement.rows] - 1), 1)
        undetected = np.setdiff1d(np.arange(len(image.boxes)), judgement.boxes[is_pair])
        np.add.at(counts, (image.box_class_ids[undetected] - 1, background), 1)
    return ConfusionMatrix(labels=labels.names, counts=tuple(tuple(row) for row in counts.tolist()))


def count_errors(judgements: Iterable[Judgement]) -> Mapping[ErrorKind, int]:
    """Count the errors of each kind."""
    counts = dict.fromkeys(ERROR_KINDS, 0)
    for judgement in judgements:
        counts["missed"] += len(judgement.missed)
        for kind in ERROR_KINDS:
            counts[kind] += int(np.count_nonzero(judgement.kinds == kind))
    return counts


def list_failures(
    truth: GroundTruth, images: Sequence[ImageMatches], judgements: Sequence[Judgement]
) -> tuple[Failure, ...]:
    """List the errors, at most 300: all of a kind that has few, and the worst of the others.

    The worst are the detections with the highest scores, and the largest of the missed boxes.
    """
    errors: dict[ErrorKind, list[_Error]] = {kind: [] for kind in ERROR_KINDS}
    for image, judgement in zip(images, judgements, strict=True):
        for error in _errors(image, judgement):
            errors[error.kind].append(error)
    room, waiting, chosen = _MAX_FAILURES, len(errors), {}
    for kind in sorted(ERROR_KINDS, key=lambda kind: len(errors[kind])):
        chosen[kind] = sorted(errors[kind], key=lambda error: -error.badness)[: room // waiting]
        room, waiting = room - len(chosen[kind]), waiting - 1
    return tuple(error.failure(truth) for kind in ERROR_KINDS for error in chosen[kind])


@dataclass(frozen=True)
class _Error:
    """One error; `iou` and `badness` are numbers to show and to sort by."""

    kind: ErrorKind
    source_id: int
    badness: float
    iou: float
    box: TrueBox | None
    detection: Detection | None

    def failure(self, truth: GroundTruth) -> Failure:
        box, detection, labels = self.box, self.detection, truth.labels
        return Failure(
            kind=self.kind,
            filename=truth.filenames[self.source_id],
            annotated=box
            and FailedBox(label=labels.name(box.class_id), class_id=box.class_id, box=_box_sides(box.box)),
            detected=detection
            and DetectedBox(
                label=labels.name(detection.class_id),
                class_id=detection.class_id,
                score=round(detection.score, 4),
                box=_box_sides(detection.box),
            ),
            iou=round(self.iou, 4),
        )


def _errors(image: ImageMatches, judgement: Judgement) -> Iterator[_Error]:
    for index in judgement.missed:
        box = image.boxes[index]
        yield _Error("missed", image.source_id, box.box.width * box.box.height, 0.0, box, None)
    for position in np.flatnonzero(judgement.kinds != MATCH):
        row, index, kind = judgement.rows[position], judgement.boxes[position], _kind(judgement.kinds[position])
        detection, box = image.detections[row], None if kind == "background" else image.boxes[index]
        iou = 0.0 if box is None else float(image.ious[row, index])
        yield _Error(kind, image.source_id, detection.score, iou, box, detection)


def _kind(name: str) -> ErrorKind:
    return ERROR_KINDS[ERROR_KINDS.index(name)]


def _box_sides(box: Box) -> BoxSides:
    return BoxSides(**{side: round(value, 2) for side, value in box._asdict().items()})
