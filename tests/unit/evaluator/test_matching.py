"""Matches of detections and annotated boxes, at several IoU thresholds."""

from dataclasses import replace

import pytest

from tests.unit.evaluator.test_coco import BUOY, LABELS, SHIP, detection, image

from services.evaluator.coco import ground_truth
from services.evaluator.matching import COCO_IOUS, match_images


def match(boxes, detections, thresholds=(0.5,)):
    """Match the detections of one image; returns it."""
    (matches,) = match_images(ground_truth([image(1, *boxes)], LABELS), detections, thresholds)
    return matches


def test_images_are_in_the_order_of_their_ids_and_detections_best_first():
    truth = ground_truth([image(9), image(2, ("ship", SHIP))], LABELS)
    images = match_images(truth, [detection(2, "ship", BUOY, 0.3), detection(2, "ship", SHIP, 0.7)])
    assert [image.source_id for image in images] == [2, 9]
    assert images[0].scores.tolist() == [0.7, 0.3]
    assert images[0].matches[:, 0].tolist() == [0, -1]
    assert images[1].matches.shape == (0, 10)


def test_each_threshold_is_matched_on_its_own():
    shifted = (20, 10, 70, 60)  # IoU with the ship is 40 / 60
    rows = match([("ship", SHIP)], [detection(1, "ship", shifted, 0.9), detection(1, "ship", SHIP, 0.8)], COCO_IOUS)
    assert rows.ious[:, 0].tolist() == [pytest.approx(40 / 60), 1.0]
    assert rows.matches[0].tolist() == [0] * 4 + [-1] * 6  # up to 0.65
    assert rows.matches[1].tolist() == [-1] * 4 + [0] * 6


def test_another_class_overlaps_and_does_not_match():
    rows = match([("ship", SHIP)], [detection(1, "buoy", SHIP, 0.9)])
    assert (rows.ious.tolist(), rows.matches.tolist()) == ([[1.0]], [[-1]])


def test_a_detection_takes_the_free_box_that_it_overlaps_most():
    near = (14, 10, 64, 60)
    boxes = [("ship", SHIP), ("ship", near)]
    rows = match(boxes, [detection(1, "ship", near, 0.9), detection(1, "ship", near, 0.8)])
    assert rows.matches[:, 0].tolist() == [1, 0]


def test_all_detections_of_an_image_count_best_first():
    detections = [detection(1, "ship", SHIP, 0.1), *[detection(1, "ship", BUOY, 0.9)] * 150]
    rows = match([("ship", SHIP)], detections)
    assert len(rows.detections) == 151
    assert rows.detections[-1].score == 0.1


def test_boxes_without_area_match_nothing():
    empty = (5, 5, 5, 5)
    assert match([("ship", empty)], [detection(1, "ship", empty, 0.9)]).matches.tolist() == [[-1]]


def test_detections_of_difficult_objects_match_nothing_and_are_not_counted():
    difficult_ship = replace(image(1, ("ship", SHIP)).boxes[0], difficult=True)
    images = [replace(image(1), boxes=(difficult_ship,)), image(2, ("ship", SHIP))]
    detections = [detection(number, "ship", SHIP, 0.9) for number in (1, 2)]
    matches = match_images(ground_truth(images, LABELS), detections, (0.5,))
    assert [(len(one.detections), len(one.boxes)) for one in matches] == [(0, 0), (1, 1)]
