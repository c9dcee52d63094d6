"""Intervals of AP: equality of the weighted AP with the reference, and coverage of the AP of many more images."""

import random

import numpy as np
import pytest

from tests.fakes.scenes import Scene
from tests.unit.evaluator.test_coco import BUOY, LABELS, SHIP, detection, image, random_scene

from services.evaluator.coco import coco_dataset, coco_results, ground_truth
from services.evaluator.intervals import average_precision, estimate_intervals, matches_of_class
from services.evaluator.matching import match_images


def reference_ap(truth, detections):
    """Return the AP that faster-coco-eval computes: float [classes, IoU thresholds]."""
    from faster_coco_eval.core import COCO, COCOeval_faster

    coco = COCO(coco_dataset(truth))
    evaluation = COCOeval_faster(coco, coco.loadRes(coco_results(detections)), iouType="bbox")
    evaluation.params.maxDets = [1, 10, 1000]  # all of them count
    evaluation.evaluate()
    evaluation.accumulate()
    return evaluation.eval["precision"][:, :, :, 0, -1].mean(axis=1).T


def weighted_ap(truth, detections, weights):
    images = match_images(truth, detections)
    classes = range(1, len(truth.labels.names) + 1)
    return np.array([average_precision(matches_of_class(images, c), np.array([weights]))[0] for c in classes])


def crowded_scene(seed):
    """Draw a scene with equal scores, and with more than 100 detections of a class in an image."""
    draw = random.Random(seed)
    truth, detections = random_scene(draw)
    detections = [one._replace(score=round(one.score, 1)) for one in detections]
    return truth, detections + [one._replace(score=draw.random() / 3) for one in detections[:3] for _ in range(60)]


@pytest.mark.parametrize(
    "scene", [lambda seed: random_scene(random.Random(seed)), crowded_scene], ids=["plain", "tied"]
)
@pytest.mark.parametrize("seed", range(3))
def test_ap_of_equal_weights_is_that_of_faster_coco_eval(scene, seed):
    truth, detections = scene(seed)
    ap = weighted_ap(truth, detections, [1] * len(truth.sizes))
    assert ap == pytest.approx(reference_ap(truth, detections), abs=1e-12)
    assert 0.05 < ap.mean() < 0.95


def test_ap_of_other_weights_is_that_of_images_that_are_repeated_or_left_out():
    truth, detections = random_scene(random.Random(3))
    weights = [number % 4 for number in range(len(truth.sizes))]
    sizes, boxes, repeated = {}, [], []
    for source_id, weight in zip(sorted(truth.sizes), weights, strict=True):
        for copy in range(weight):
            number = 1000 * source_id + copy
            sizes[number] = truth.sizes[source_id]
            boxes += [box._replace(image_id=number) for box in truth.boxes if box.image_id == source_id]
            repeated += [one._replace(image_id=number) for one in detections if one.image_id == source_id]
    expected = reference_ap(type(truth)(LABELS, sizes, boxes), repeated)
    assert weighted_ap(truth, detections, weights) == pytest.approx(expected, abs=1e-12)


def test_a_draw_without_a_box_of_the_class_has_no_ap():
    truth = ground_truth([image(1, ("ship", SHIP)), image(2, ("buoy", BUOY))], LABELS)
    assert np.isnan(weighted_ap(truth, [detection(1, "ship", SHIP, 0.9)], [0, 1])[1]).all()


def test_the_same_detections_have_the_same_intervals_and_contain_what_was_measured():
    truth, detections = random_scene(random.Random(7))
    intervals = estimate_intervals(match_images(truth, detections), 2)
    assert estimate_intervals(match_images(truth, detections), 2) == intervals
    ap = reference_ap(truth, detections)
    assert intervals.overall.ap.low < ap.mean() < intervals.overall.ap.high
    for of_class, expected in zip(intervals.per_class, ap, strict=True):
        assert of_class.ap.low < expected.mean() < of_class.ap.high
        assert of_class.ap50.low < expected[0] < of_class.ap50.high


def test_a_class_in_one_image_has_no_interval():
    images = [image(number, ("ship", SHIP)) for number in range(1, 9)] + [image(9, ("buoy", BUOY))]
    detections = [detection(number, "ship", SHIP, 0.9) for number in range(1, 5)]
    intervals = estimate_intervals(match_images(ground_truth(images, LABELS), detections), 2)
    assert intervals.per_class[0] is None
    assert intervals.per_class[1].ap50.low < 0.5 < intervals.per_class[1].ap50.high


@pytest.mark.parametrize("images", [[image(1, ("ship", SHIP))], [image(1), image(2)]], ids=["one-image", "no-boxes"])
def test_a_split_too_small_to_resample_has_no_interval(images):
    intervals = estimate_intervals(match_images(ground_truth(images, LABELS), []), 2)
    assert (intervals.overall, intervals.per_class) == (None, (None, None))


def test_a_perfect_detector_on_few_images_is_not_called_certain():
    images = [image(number, ("ship", SHIP), ("buoy", BUOY)) for number in range(1, 11)]
    detections = [
        detection(n, label, box, 0.9) for n in range(1, 11) for label, box in (("ship", SHIP), ("buoy", BUOY))
    ]
    overall = estimate_intervals(match_images(ground_truth(images, LABELS), detections), 2).overall
    assert 0.7 < overall.ap50.low < 0.95
    assert overall.ap50.high == 1.0


@pytest.mark.parametrize(
    "scene", [Scene(quality=4.0), Scene(shares=(1.0,), boxes=1.5)], ids=["rare-class", "one-class"]
)
def test_interval_covers_the_ap_of_a_large_split_in_nine_of_ten_draws(scene):
    generator = np.random.default_rng(1)
    truth, detections = scene.draw(generator, 4000)
    expected = weighted_ap(truth, detections, [1] * 4000)
    covered = np.zeros(2)
    for images in [40, 50, 60, 70, 80] * 10:
        overall = estimate_intervals(match_images(*scene.draw(generator, images)), len(scene.shares)).overall
        for index, (interval, score) in enumerate(
            [(overall.ap, expected.mean()), (overall.ap50, expected[:, 0].mean())]
        ):
            covered[index] += interval.low <= score <= interval.high
    assert covered.min() >= 45
