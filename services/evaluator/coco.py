"""COCO metrics of boxes: AP and AR under Model Garden's names, AP per class, precision over recall.

`faster-coco-eval` computes the same values as `pycocotools`, five to eight times as fast; a test compares the two.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from slipway.artifacts.evaluation import ClassScore, CocoMetrics, Curve, Curves
from slipway.dataset.annotations import AnnotatedImage
from slipway.dataset.boxes import Box, ImageSize, iou
from slipway.dataset.labels import LabelMap

NAMES = tuple(str(field.alias) for field in CocoMetrics.model_fields.values())  # in the order of COCOeval's `stats`
_IGNORED_IOU = 0.5
_COCO_DETECTIONS = 100  # of one image
_ALL_SIZES, _ALL_DETECTIONS, _IOU_50 = 0, -1, 0  # indices of COCOeval's arrays


class TrueBox(NamedTuple):
    """An annotated box.

    Attributes:
      image_id: Source id of its image.
      class_id: From 1, as in the label map.
    """

    image_id: int
    class_id: int
    box: Box


class Detection(NamedTuple):
    """A detected box, in pixels of the stored image.

    Attributes:
      image_id: Source id of its image.
      class_id: From 1, as in the label map.
      score: In [0, 1].
    """

    image_id: int
    class_id: int
    box: Box
    score: float


@dataclass(frozen=True)
class GroundTruth:
    """The annotations of one split.

    Attributes:
      sizes: Source id of each image to its size.
      filenames: Source id of each image to its name in the source folder.
      difficult: Boxes that are marked as difficult. They count neither as found nor as missed.
    """

    labels: LabelMap
    sizes: Mapping[int, ImageSize]
    boxes: Sequence[TrueBox]
    filenames: Mapping[int, str] = field(default_factory=dict)
    difficult: Sequence[TrueBox] = ()


@dataclass(frozen=True)
class Measurement:
    """Everything that was measured of one checkpoint on one split.

    Attributes:
      images: Number of images in the split.
      loss: Mean validation loss.
      per_class: One for each label, in the order of class ids.
      curves: Precision at 101 recalls from 0 to 1.
    """

    images: int
    loss: float
    metrics: CocoMetrics
    per_class: tuple[ClassScore, ...]
    curves: Curves


def ground_truth(images: Iterable[AnnotatedImage], labels: LabelMap) -> GroundTruth:
    """Collect the annotated boxes of a split; the images are read once.

    If all boxes are difficult, they count like others: there would be nothing to measure.
    """
    sizes: dict[int, ImageSize] = {}
    filenames: dict[int, str] = {}
    boxes: list[TrueBox] = []
    difficult: list[TrueBox] = []
    for image in images:
        sizes[image.source_id], filenames[image.source_id] = image.size, image.filename
        for box in image.boxes:
            true_box = TrueBox(image.source_id, labels.id(box.label), box.box)
            (difficult if box.difficult else boxes).append(true_box)
    if not boxes:
        boxes, difficult = difficult, []
    return GroundTruth(labels, sizes, boxes, filenames, difficult)


def without_difficult(truth: GroundTruth, detections: Iterable[Detection]) -> list[Detection]:
    """Leave out detections of difficult objects: those that overlap none of their class more, and by at least 0.5.

    Source: PASCAL VOC development kit 2012, `VOCevaldet.m`: a detection belongs to the object that it overlaps most,
    and is not counted if that object is difficult. It is left out here at every IoU threshold.
    """
    if not truth.difficult:
        return list(detections)
    boxes_of: dict[tuple[int, int], list[tuple[Box, bool]]] = defaultdict(list)
    for boxes, is_difficult in ((truth.boxes, False), (truth.difficult, True)):
        for image_id, class_id, box in boxes:
            boxes_of[image_id, class_id].append((box, is_difficult))
    return [detection for detection in detections if not _is_of_difficult(detection, boxes_of)]


def _is_of_difficult(detection: Detection, boxes_of: Mapping[tuple[int, int], Sequence[tuple[Box, bool]]]) -> bool:
    boxes = boxes_of.get((detection.image_id, detection.class_id), ())
    overlaps = [(iou(detection.box, box), not is_difficult) for box, is_difficult in boxes]
    overlap, is_counted = max(overlaps, default=(0.0, True))  # of two equal overlaps, that of the box that counts
    return overlap >= _IGNORED_IOU and not is_counted


def measure(truth: GroundTruth, detections: Sequence[Detection], loss: float) -> Measurement:
    """Compare detections with the annotations.

    Args:
      loss: Mean validation loss; it becomes part of the measurement.
    """
    from faster_coco_eval.core import COCO, COCOeval_faster

    detections = without_difficult(truth, detections)
    coco = COCO(coco_dataset(truth))
    results = coco.loadRes(coco_results(detections or _one_empty_detection(truth)))
    evaluation = COCOeval_faster(coco, results, iouType="bbox")
    evaluation.params.maxDets = [1, 10, _most_detections(detections)]
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    metrics = {name: float(value) for name, value in zip(NAMES, evaluation.stats, strict=False)}
    return Measurement(
        images=len(truth.sizes),
        loss=loss,
        metrics=CocoMetrics.model_validate(metrics),
        per_class=tuple(_class_scores(truth, evaluation.eval["precision"])),
        curves=_curves(truth, evaluation),
    )


def _most_detections(detections: Iterable[Detection]) -> int:
    """Return COCO's limit of detections of one image, raised where the detector gives more: all of them count."""
    counts = Counter(detection.image_id for detection in detections)
    return max(_COCO_DETECTIONS, *counts.values(), 0)


def coco_dataset(truth: GroundTruth) -> dict[str, Any]:
    """Return the annotations in COCO's format: boxes are [x, y, width, height] in pixels."""
    annotations = [
        {
            "id": number,
            "image_id": annotation.image_id,
            "category_id": annotation.class_id,
            "bbox": _bbox(annotation.box),
            "area": annotation.box.width * annotation.box.height,
            "iscrowd": 0,
        }
        for number, annotation in enumerate(truth.boxes, start=1)
    ]
    return {
        "images": [{"id": id, "width": size.width, "height": size.height} for id, size in truth.sizes.items()],
        "annotations": annotations,
        "categories": [{"id": id, "name": name} for id, name in enumerate(truth.labels.names, start=1)],
    }


def coco_results(detections: Iterable[Detection]) -> list[dict[str, Any]]:
    """Return the detections in COCO's format."""
    return [
        {
            "image_id": detection.image_id,
            "category_id": detection.class_id,
            "bbox": _bbox(detection.box),
            "score": detection.score,
        }
        for detection in detections
    ]


def _bbox(box: Box) -> list[float]:
    return [box.xmin, box.ymin, box.width, box.height]


def _one_empty_detection(truth: GroundTruth) -> list[Detection]:
    """Return a detection that matches nothing, since COCO's reader refuses an empty list."""
    return [Detection(next(iter(truth.sizes)), 1, Box(0.0, 0.0, 0.0, 0.0), 0.0)]


def _class_scores(truth: GroundTruth, precision: Any) -> Iterator[ClassScore]:
    """Yield the score of each label.

    Args:
      precision: float [IoU 10, recall 101, class, size 4, detections 3]; -1 where the class has no box.
    """
    boxes = Counter(annotation.class_id for annotation in truth.boxes)
    images = Counter(class_id for _, class_id in {(box.image_id, box.class_id) for box in truth.boxes})
    for index, label in enumerate(truth.labels.names):
        of_class = precision[:, :, index, _ALL_SIZES, _ALL_DETECTIONS]
        yield ClassScore.model_validate(
            {
                "label": label,
                "AP": float(of_class.mean()),
                "AP50": float(of_class[_IOU_50].mean()),
                "images": images[index + 1],
                "boxes": boxes[index + 1],
            }
        )


def _curves(truth: GroundTruth, evaluation: Any) -> Curves:
    recall = tuple(round(float(value), 2) for value in evaluation.params.recThrs)
    precision = evaluation.eval["precision"][_IOU_50, :, :, _ALL_SIZES, _ALL_DETECTIONS]
    return Curves(
        {
            label: Curve(recall=recall, precision=tuple(round(float(value), 4) for value in precision[:, index]))
            for index, label in enumerate(truth.labels.names)
            if precision[0, index] >= 0
        }
    )
