"""Score thresholds of detections that a person can count, and equality of the matches with the reference."""

import contextlib
import io
import itertools
import random

import numpy as np
import pytest

from slipway.artifacts.operating_point import ScoreThresholds, choose_thresholds
from slipway.dataset.labels import LabelMap
from tests.unit.evaluator.test_coco import BUOY, LABELS, SHIP, detection, image, random_scene

from services.evaluator.coco import coco_dataset, coco_results, ground_truth
from services.evaluator.operating_point import Matches, choose_operating_points, match_detections, report_on


def matches_of(ships=(), buoys=(), boxes=(10, 10)):
    """Build the matches of two labels from pairs of score and whether the detection matches a box."""
    rows = [(1, *pair) for pair in buoys] + [(2, *pair) for pair in ships]
    class_ids, scores, is_match = zip(*rows, strict=True) if rows else ((), (), ())
    counts = dict(enumerate(boxes, start=1))
    return Matches(LABELS, np.array(class_ids, int), np.array(scores, float), np.array(is_match, bool), counts)


def rates(point):
    return pytest.approx((point.precision, point.recall, point.f1))


def drawn(seed, boxes):
    """Draw scores of one label: nine of ten boxes are found, and there are twice as many false detections."""
    rng = np.random.default_rng(seed)
    scores = np.concatenate([rng.beta(6, 2, boxes * 9 // 10), rng.beta(1, 4, boxes * 2)])
    is_match = np.arange(len(scores)) < boxes * 9 // 10
    return Matches(LabelMap(("ship",)), np.ones(len(scores), int), scores, is_match, {1: boxes})


def test_the_best_detection_of_a_box_matches_and_the_next_one_of_it_does_not():
    truth = ground_truth([image(1, ("ship", SHIP), ("buoy", BUOY)), image(2)], LABELS)
    near_ship = (12, 10, 62, 60)
    matches = match_detections(
        truth,
        [
            detection(1, "ship", near_ship, 0.6),
            detection(1, "ship", SHIP, 0.7),
            detection(1, "ship", BUOY, 0.9),
            detection(2, "ship", SHIP, 0.8),
            detection(1, "buoy", (105, 20, 115, 30), 0.5),
        ],
    )
    rows = dict(zip(matches.scores.tolist(), matches.is_match.tolist(), strict=True))
    assert rows == {0.7: True, 0.6: False, 0.9: False, 0.8: False, 0.5: False}  # the buoy's IoU is 50 / 150
    assert matches.boxes == {1: 1, 2: 1}


def test_matches_equal_those_of_pycocotools():
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth, detections = random_scene(random.Random(11))
    with contextlib.redirect_stdout(io.StringIO()):
        reference = COCO()
        reference.dataset = coco_dataset(truth)
        reference.createIndex()
        evaluation = COCOeval(reference, reference.loadRes(coco_results(detections)), "bbox")
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.evaluate()
    expected = [
        (row["category_id"], score, bool(match))
        for row in filter(None, evaluation.evalImgs)
        for score, match in zip(row["dtScores"], row["dtMatches"][0], strict=True)
    ]
    matches = match_detections(truth, detections)
    assert sorted(zip(matches.class_ids, matches.scores, matches.is_match, strict=True)) == sorted(expected)
    assert 50 < matches.is_match.sum() < len(expected) - 20


def test_threshold_separates_right_from_wrong_detections_in_the_middle():
    ships = [(0.9, True)] * 6 + [(0.7, True)] * 4 + [(0.3, False)] * 5
    point = choose_operating_points("val", matches_of(ships, boxes=(0, 10))).overall
    assert (point.threshold, rates(point)) == (0.5, (1.0, 1.0, 1.0))


def test_no_threshold_has_a_better_f1():
    truth, detections = random_scene(random.Random(5))
    matches = match_detections(truth, detections)
    for class_id, point in enumerate(choose_operating_points("val", matches).per_class, start=1):
        chosen = matches.class_ids == class_id
        scores, is_match, boxes = matches.scores[chosen], matches.is_match[chosen], matches.boxes[class_id]
        f1 = {t: 2 * (is_match & (scores >= t)).sum() / ((scores >= t).sum() + boxes) for t in {*scores}}
        assert point.f1 == pytest.approx(max(f1.values()))
        passes = scores >= point.threshold
        assert point.precision == pytest.approx(is_match[passes].mean())
        assert point.recall == pytest.approx(is_match[passes].sum() / boxes)


def test_equal_scores_pass_together():
    ships = list(itertools.chain.from_iterable([((0.8, True), (0.8, False))] * 10))
    point = choose_operating_points("val", matches_of(ships, boxes=(0, 10))).overall
    assert (point.threshold, rates(point)) == (0.4, (0.5, 1.0, 2 / 3))


def test_scores_that_differ_a_little_from_the_measured_ones_detect_the_same():
    matches = drawn(1, 50)
    threshold = choose_operating_points("val", matches).overall.threshold
    passes = matches.scores >= threshold
    gap = matches.scores[passes].min() - matches.scores[~passes].max()
    for shift in (-gap / 5, gap / 5):
        assert ((matches.scores + shift >= threshold) == passes).all()


def test_each_label_has_its_own_threshold_and_one_with_few_boxes_that_of_all():
    ships = [(0.9, True)] * 10 + [(0.5, False)] * 8
    buoys = [(0.3, True)] * 9 + [(0.1, False)] * 5
    ship, buoy = reversed(choose_operating_points("val", matches_of(ships, buoys, boxes=(9, 10))).per_class)
    overall = choose_operating_points("val", matches_of(ships, buoys, boxes=(9, 10))).overall
    assert (ship.label, ship.threshold, ship.is_overall, ship.boxes) == ("ship", 0.7, False, 10)
    assert (buoy.label, buoy.threshold, buoy.is_overall, buoy.boxes) == ("buoy", overall.threshold, True, 9)
    assert choose_operating_points("val", matches_of(ships, buoys)).per_class[0].threshold == 0.2


def test_a_label_without_boxes_has_no_rates_and_the_threshold_of_all():
    points = choose_operating_points("val", matches_of([(0.9, True)] * 10, [(0.2, False)], boxes=(0, 10)))
    buoy = points.per_class[0]
    assert (buoy.threshold, buoy.is_overall) == (points.overall.threshold, True)
    assert rates(buoy) == (-1, -1, -1)


@pytest.mark.parametrize("ships", [[], [(0.9, False), (0.1, False)]], ids=["no-detection", "no-match"])
def test_where_nothing_matches_the_fixed_threshold_stays(ships):
    points = choose_operating_points("val", matches_of(ships))
    assert [points.overall.threshold, *(point.threshold for point in points.per_class)] == [0.4, 0.4, 0.4]
    assert rates(points.overall) == (0, 0, 0)


def test_a_split_without_boxes_has_no_rates():
    points = choose_operating_points("test", matches_of([(0.9, False)], boxes=(0, 0)))
    assert (points.overall.threshold, rates(points.overall)) == (0.4, (-1, -1, -1))


def test_a_model_with_low_scores_detects_what_it_can_tell_apart():
    """A short training ended with AP50 0.81 and scores below 0.4, at which nothing was drawn."""
    ships = [(0.2 + i / 200, True) for i in range(9)] + [(0.05 + i / 200, False) for i in range(20)]
    matches = matches_of(ships, boxes=(0, 10))
    points = report_on(choose_operating_points("val", matches), matches)
    assert points.overall.threshold < 0.2
    assert points.reported.recall == pytest.approx(0.9)


def test_other_images_are_reported_with_the_thresholds_that_were_chosen():
    val = matches_of([(0.9, True)] * 10 + [(0.5, False)] * 8, [(0.3, True)] * 10, boxes=(10, 10))
    points = choose_operating_points("val", val)
    assert choose_thresholds(None, points) == ScoreThresholds(points.overall.threshold, {"buoy": 0.15, "ship": 0.7})
    test = matches_of([(0.8, True), (0.6, True)], [(0.2, True), (0.16, False), (0.1, False)], boxes=(2, 2))
    reported = report_on(points, test).reported
    assert rates(reported) == (2 / 3, 0.5, 4 / 7)  # a ship and a buoy of four boxes, and one false detection


@pytest.mark.parametrize("seed", range(5))
def test_a_threshold_of_some_images_costs_others_at_most_two_hundredths_of_their_best_f1(seed):
    val, test = drawn(seed, 300), drawn(seed + 100, 600)
    reported = report_on(choose_operating_points("val", val), test).reported
    assert choose_operating_points("test", test).overall.f1 - reported.f1 <= 0.02
