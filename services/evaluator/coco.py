"""COCO metrics of boxes: AP and AR as Model Garden names them, AP per class, precision over recall.

`faster-coco-eval` computes what `pycocotools` does, five to eight times as fast; a test holds the two equal.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from slipway.dataset.annotations import AnnotatedImage
from slipway.dataset.labels import LabelMap

NAMES = ("AP", "AP50", "AP75", "APs", "APm", "APl", "ARmax1", "ARmax10", "ARmax100", "ARs", "ARm", "ARl")
_ALL_SIZES, _HUNDRED_DETECTIONS, _IOU_50 = 0, -1, 0  # where COCOeval's arrays keep them

Detection = Mapping[str, Any]


@dataclass(frozen=True)
class Measured:
    """What one checkpoint is worth on one split.

    Attributes:
      images: How many were looked at.
      loss: Mean validation loss.
      metrics: `NAMES` to values in [0, 1]; -1 where there is no box to find.
      per_class: label, AP, AP50 (-1 without boxes), images and boxes that the split has of it.
      curves: Per label, precision at 101 recalls from 0 to 1, at IoU 0.5.
    """

    images: int
    loss: float
    metrics: dict[str, float]
    per_class: list[dict[str, Any]]
    curves: dict[str, dict[str, list[float]]]


def truth(images: Iterable[AnnotatedImage], labels: LabelMap) -> dict[str, Any]:
    """Write annotated images as a COCO dataset: ids are source ids, boxes [x, y, width, height] in pixels."""
    coco: dict[str, Any] = {
        "images": [],
        "annotations": [],
        "categories": [{"id": labels.id(name), "name": name} for name in labels.names],
    }
    for image in images:
        coco["images"].append({"id": image.source_id, "width": image.size.width, "height": image.size.height})
        for labeled in image.boxes:
            box = labeled.box
            row = {
                "id": len(coco["annotations"]) + 1,
                "image_id": image.source_id,
                "category_id": labels.id(labeled.label),
                "bbox": [box.xmin, box.ymin, box.width, box.height],
                "area": box.width * box.height,
                "iscrowd": 0,
            }
            coco["annotations"].append(row)
    return coco


def measure(dataset: dict[str, Any], detections: Sequence[Detection], loss: float) -> Measured:
    """Compare detections with the truth.

    Args:
      dataset: What `truth` made.
      detections: Rows of image_id, category_id, bbox [x, y, width, height] in pixels and score.
      loss: Mean validation loss, handed on.
    """
    from faster_coco_eval.core import COCO, COCOeval_faster

    coco = COCO(dataset)
    # COCO's reader takes no empty list of results; a detection of no area and no score finds nothing.
    results = coco.loadRes(list(detections) or _nothing(dataset))
    evaluation = COCOeval_faster(coco, results, iouType="bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    metrics = {name: float(value) for name, value in zip(NAMES, evaluation.stats, strict=False)}
    per_class, curves = _per_class(dataset, evaluation), _curves(dataset, evaluation)
    return Measured(len(dataset["images"]), loss, metrics, per_class, curves)


def _nothing(dataset: dict[str, Any]) -> list[Detection]:
    image, category = dataset["images"][0]["id"], dataset["categories"][0]["id"]
    return [{"image_id": image, "category_id": category, "bbox": [0.0, 0.0, 0.0, 0.0], "score": 0.0}]


def _per_class(dataset: dict[str, Any], evaluation: Any) -> list[dict[str, Any]]:
    # precision: float [IoU 10, recall 101, class, size 4, detections 3]; -1 where the class has no box.
    precision = evaluation.eval["precision"][:, :, :, _ALL_SIZES, _HUNDRED_DETECTIONS]
    rows = []
    for index, category in enumerate(dataset["categories"]):
        own = [a for a in dataset["annotations"] if a["category_id"] == category["id"]]
        rows.append(
            {
                "label": category["name"],
                "AP": float(precision[:, :, index].mean()),
                "AP50": float(precision[_IOU_50, :, index].mean()),
                "images": len({a["image_id"] for a in own}),
                "boxes": len(own),
            }
        )
    return rows


def _curves(dataset: dict[str, Any], evaluation: Any) -> dict[str, dict[str, list[float]]]:
    recall = [round(float(r), 2) for r in evaluation.params.recThrs]
    precision = evaluation.eval["precision"][_IOU_50, :, :, _ALL_SIZES, _HUNDRED_DETECTIONS]
    return {
        category["name"]: {"recall": recall, "precision": [round(float(p), 4) for p in precision[:, index]]}
        for index, category in enumerate(dataset["categories"])
        if precision[0, index] >= 0
    }
