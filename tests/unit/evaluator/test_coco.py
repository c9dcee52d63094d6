"""COCO metrics of boxes that a person can count, and equality with the reference implementation."""

import contextlib
import io
import random
from dataclasses import replace

import pytest

from slipway.dataset.annotations import AnnotatedImage, LabeledBox
from slipway.dataset.boxes import Box, ImageSize
from slipway.dataset.labels import LabelMap

from services.evaluator.coco import (
    NAMES,
    Detection,
    coco_dataset,
    coco_results,
    ground_truth,
    measure,
    without_difficult,
)

LABELS = LabelMap(("buoy", "ship"))


def image(number, *boxes):
    labeled_boxes = tuple(LabeledBox(label, Box(*box)) for label, box in boxes)
    return AnnotatedImage(f"{number}.jpg", number, "", "jpeg", ImageSize(200, 100), labeled_boxes)


def detection(number, label, box, score):
    return Detection(number, LABELS.id(label), Box(*box), score)


SHIP, BUOY = (10, 10, 60, 60), (100, 20, 110, 30)


def test_truth_has_ids_from_one_and_boxes_as_corner_and_size():
    coco = coco_dataset(ground_truth([image(7, ("ship", SHIP))], LABELS))
    assert coco["categories"] == [{"id": 1, "name": "buoy"}, {"id": 2, "name": "ship"}]
    assert coco["images"] == [{"id": 7, "width": 200, "height": 100}]
    annotation = {"id": 1, "image_id": 7, "category_id": 2, "bbox": [10, 10, 50, 50], "area": 2500, "iscrowd": 0}
    assert coco["annotations"] == [annotation]


def test_perfect_detections_have_ap_one():
    truth = ground_truth([image(1, ("ship", SHIP), ("buoy", BUOY)), image(2)], LABELS)
    measurement = measure(truth, [detection(1, "ship", SHIP, 0.9), detection(1, "buoy", BUOY, 0.8)], loss=0.25)
    assert measurement.metrics.by_name()["AP"] == pytest.approx(1.0)
    assert measurement.metrics.by_name()["APs"] == pytest.approx(1.0)  # the buoy is 10 × 10
    assert measurement.metrics.by_name()["APl"] == -1  # no box is that large
    assert (measurement.images, measurement.loss) == (2, 0.25)


def test_half_of_the_boxes_found_is_half_the_recall():
    truth = ground_truth([image(1, ("ship", SHIP)), image(2, ("ship", SHIP))], LABELS)
    measurement = measure(truth, [detection(1, "ship", SHIP, 0.9)], loss=0)
    assert measurement.metrics.by_name()["ARmax100"] == pytest.approx(0.5)
    assert measurement.metrics.by_name()["AP50"] == pytest.approx(51 / 101)  # precision 1 at recalls 0.00 to 0.50


def test_more_than_a_hundred_boxes_of_an_image_can_be_found():
    boxes = [(x, y, x + 9, y + 9) for x in range(0, 190, 10) for y in range(0, 80, 10)]
    truth = ground_truth([image(1, *(("ship", box) for box in boxes))], LABELS)
    metrics = measure(truth, [detection(1, "ship", box, 0.9) for box in boxes], loss=0).metrics
    assert (len(boxes), metrics.ap, metrics.ar_max100) == (152, pytest.approx(1.0), pytest.approx(1.0))


def test_box_shifted_by_a_fifth_counts_for_ap50_but_not_for_ap75():
    truth = ground_truth([image(1, ("ship", SHIP))], LABELS)
    measurement = measure(truth, [detection(1, "ship", (20, 10, 70, 60), 0.9)], loss=0)  # IoU 40 / 60
    assert measurement.metrics.by_name()["AP50"] == pytest.approx(1.0)
    assert measurement.metrics.by_name()["AP75"] == 0


def test_wrong_class_finds_nothing_and_each_class_has_its_own_figures():
    truth = ground_truth([image(1, ("ship", SHIP), ("ship", (120, 50, 150, 90))), image(2, ("buoy", BUOY))], LABELS)
    measurement = measure(truth, [detection(1, "ship", SHIP, 0.9), detection(2, "ship", BUOY, 0.8)], loss=0)
    assert [score.content() for score in measurement.per_class] == [
        {"label": "buoy", "AP": 0, "AP50": 0, "images": 1, "boxes": 1},
        {"label": "ship", "AP": pytest.approx(51 / 101), "AP50": pytest.approx(51 / 101), "images": 1, "boxes": 2},
    ]


def test_class_without_boxes_is_minus_one_and_has_no_curve():
    truth = ground_truth([image(1, ("ship", SHIP))], LABELS)
    measurement = measure(truth, [detection(1, "ship", SHIP, 0.9)], loss=0)
    assert measurement.per_class[0].ap == -1
    assert list(measurement.curves.root) == ["ship"]
    assert measurement.curves.root["ship"].recall[-1] == 1.0
    assert measurement.curves.root["ship"].precision[-1] == 1.0


def test_no_detection_at_all_is_ap_zero():
    assert measure(ground_truth([image(1, ("ship", SHIP))], LABELS), [], loss=0).metrics.by_name()["AP"] == 0


def test_statistics_equal_those_of_pycocotools():
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    draw = random.Random(7)
    truth, detections = random_scene(draw)
    ours = measure(truth, detections, loss=0)
    with contextlib.redirect_stdout(io.StringIO()):
        reference = COCO()
        reference.dataset = coco_dataset(truth)
        reference.createIndex()
        evaluation = COCOeval(reference, reference.loadRes(coco_results(detections)), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    assert [ours.metrics.by_name()[name] for name in NAMES] == pytest.approx(list(evaluation.stats), abs=1e-12)
    assert 0.05 < ours.metrics.by_name()["AP"] < 0.95  # the scene is neither empty nor perfect


def random_scene(draw):
    images, detections = [], []
    for number in range(1, 60):
        boxes = [(draw.choice(LABELS.names), _random_box(draw)) for _ in range(draw.randrange(6))]
        images.append(image(number, *boxes))
        for label, box in boxes:
            noisy_box = tuple(v + draw.gauss(0, 2) for v in box)
            if draw.random() < 0.8 and noisy_box[0] < noisy_box[2] and noisy_box[1] < noisy_box[3]:
                detections.append(detection(number, label, noisy_box, draw.random()))
        detections += [
            detection(number, "ship", _random_box(draw), draw.random() / 2) for _ in range(draw.randrange(3))
        ]
    return ground_truth(images, LABELS), detections


def _random_box(draw):
    xmin, ymin = draw.uniform(0, 150), draw.uniform(0, 60)
    return xmin, ymin, xmin + draw.uniform(8, 50), ymin + draw.uniform(8, 40)


def with_difficult(number, *boxes, difficult):
    """An image whose last boxes are difficult ones."""
    easy = image(number, *boxes)
    hard = tuple(replace(box, difficult=True) for box in image(number, *difficult).boxes)
    return replace(easy, boxes=(*easy.boxes, *hard))


def test_difficult_objects_count_neither_as_missed_nor_as_found():
    images = [with_difficult(1, ("ship", SHIP), difficult=[("ship", (120, 10, 170, 60)), ("buoy", BUOY)])]
    truth = ground_truth(images, LABELS)
    found = detection(1, "ship", SHIP, 0.5)
    for others in ([], [detection(1, "ship", (121, 10, 170, 60), 0.9), detection(1, "buoy", BUOY, 0.9)]):
        measurement = measure(truth, [*others, found], loss=0)
        assert measurement.metrics.by_name()["AP"] == pytest.approx(1.0)
        assert [(score.label, score.boxes) for score in measurement.per_class] == [("buoy", 0), ("ship", 1)]


@pytest.mark.parametrize(
    ("label", "box", "is_counted"),
    [
        ("ship", (120, 10, 170, 60), False),
        ("buoy", (120, 10, 170, 60), True),
        ("ship", (150, 10, 200, 60), True),
        ("ship", SHIP, True),
    ],
    ids=["on-it", "of-another-class", "loosely-beside-it", "on-another-object"],
)
def test_detections_of_difficult_objects_alone_are_left_out(label, box, is_counted):
    truth = ground_truth([with_difficult(1, ("ship", SHIP), difficult=[("ship", (120, 10, 170, 60))])], LABELS)
    assert len(without_difficult(truth, [detection(1, label, box, 0.9)])) == is_counted


def test_difficult_objects_count_where_there_are_no_others():
    truth = ground_truth([with_difficult(1, difficult=[("ship", SHIP)])], LABELS)
    assert (len(truth.boxes), len(truth.difficult)) == (1, 0)
