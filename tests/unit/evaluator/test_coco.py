"""COCO metrics of boxes that a person can count, and equality with the reference implementation."""

import contextlib
import io
import random

import pytest

from slipway.dataset.annotations import AnnotatedImage, LabeledBox
from slipway.dataset.boxes import Box, ImageSize
from slipway.dataset.labels import LabelMap

from services.evaluator.coco import NAMES, measure, truth

LABELS = LabelMap(("buoy", "ship"))


def image(number, *boxes):
    labeled = tuple(LabeledBox(label, Box(*box)) for label, box in boxes)
    return AnnotatedImage(f"{number}.jpg", number, "", "jpeg", ImageSize(200, 100), labeled)


def found(number, label, box, score):
    xmin, ymin, xmax, ymax = box
    size = [xmin, ymin, xmax - xmin, ymax - ymin]
    return {"image_id": number, "category_id": LABELS.id(label), "bbox": size, "score": score}


SHIP, BUOY = (10, 10, 60, 60), (100, 20, 110, 30)


def test_truth_has_ids_from_one_and_boxes_as_corner_and_size():
    coco = truth([image(7, ("ship", SHIP))], LABELS)
    assert coco["categories"] == [{"id": 1, "name": "buoy"}, {"id": 2, "name": "ship"}]
    assert coco["images"] == [{"id": 7, "width": 200, "height": 100}]
    annotation = {"id": 1, "image_id": 7, "category_id": 2, "bbox": [10, 10, 50, 50], "area": 2500, "iscrowd": 0}
    assert coco["annotations"] == [annotation]


def test_perfect_detections_have_ap_one():
    coco = truth([image(1, ("ship", SHIP), ("buoy", BUOY)), image(2)], LABELS)
    measured = measure(coco, [found(1, "ship", SHIP, 0.9), found(1, "buoy", BUOY, 0.8)], loss=0.25)
    assert measured.metrics["AP"] == pytest.approx(1.0)
    assert measured.metrics["APs"] == pytest.approx(1.0)  # the buoy is 10 × 10
    assert measured.metrics["APl"] == -1  # no box is that large
    assert (measured.images, measured.loss) == (2, 0.25)


def test_half_of_the_boxes_found_is_half_the_recall():
    coco = truth([image(1, ("ship", SHIP)), image(2, ("ship", SHIP))], LABELS)
    measured = measure(coco, [found(1, "ship", SHIP, 0.9)], loss=0)
    assert measured.metrics["ARmax100"] == pytest.approx(0.5)
    assert measured.metrics["AP50"] == pytest.approx(51 / 101)  # precision 1 at recalls 0.00 to 0.50


def test_box_shifted_by_a_fifth_counts_for_ap50_but_not_for_ap75():
    coco = truth([image(1, ("ship", SHIP))], LABELS)
    measured = measure(coco, [found(1, "ship", (20, 10, 70, 60), 0.9)], loss=0)  # IoU 40 / 60
    assert measured.metrics["AP50"] == pytest.approx(1.0)
    assert measured.metrics["AP75"] == 0


def test_wrong_class_finds_nothing_and_each_class_has_its_own_figures():
    coco = truth([image(1, ("ship", SHIP), ("ship", (120, 50, 150, 90))), image(2, ("buoy", BUOY))], LABELS)
    measured = measure(coco, [found(1, "ship", SHIP, 0.9), found(2, "ship", BUOY, 0.8)], loss=0)
    assert measured.per_class == [
        {"label": "buoy", "AP": 0, "AP50": 0, "images": 1, "boxes": 1},
        {"label": "ship", "AP": pytest.approx(51 / 101), "AP50": pytest.approx(51 / 101), "images": 1, "boxes": 2},
    ]


def test_class_without_boxes_is_minus_one_and_has_no_curve():
    coco = truth([image(1, ("ship", SHIP))], LABELS)
    measured = measure(coco, [found(1, "ship", SHIP, 0.9)], loss=0)
    assert measured.per_class[0]["AP"] == -1
    assert list(measured.curves) == ["ship"]
    assert measured.curves["ship"]["recall"][-1] == 1.0
    assert measured.curves["ship"]["precision"][-1] == 1.0


def test_no_detection_at_all_is_ap_zero():
    assert measure(truth([image(1, ("ship", SHIP))], LABELS), [], loss=0).metrics["AP"] == 0


def test_statistics_equal_those_of_pycocotools():
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    draw = random.Random(7)
    coco, detections = _random_scene(draw)
    ours = measure(coco, detections, loss=0)
    with contextlib.redirect_stdout(io.StringIO()):
        reference = COCO()
        reference.dataset = coco
        reference.createIndex()
        evaluation = COCOeval(reference, reference.loadRes(detections), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    assert [ours.metrics[name] for name in NAMES] == pytest.approx(list(evaluation.stats), abs=1e-12)
    assert 0.05 < ours.metrics["AP"] < 0.95  # the scene is neither empty nor perfect


def _random_scene(draw):
    images, detections = [], []
    for number in range(1, 60):
        boxes = [(draw.choice(LABELS.names), _random_box(draw)) for _ in range(draw.randrange(6))]
        images.append(image(number, *boxes))
        for label, box in boxes:
            jittered = tuple(v + draw.gauss(0, 2) for v in box)
            if draw.random() < 0.8 and jittered[0] < jittered[2] and jittered[1] < jittered[3]:
                detections.append(found(number, label, jittered, draw.random()))
        detections += [found(number, "ship", _random_box(draw), draw.random() / 2) for _ in range(draw.randrange(3))]
    return truth(images, LABELS), detections


def _random_box(draw):
    xmin, ymin = draw.uniform(0, 150), draw.uniform(0, 60)
    return xmin, ymin, xmin + draw.uniform(8, 50), ymin + draw.uniform(8, 40)
