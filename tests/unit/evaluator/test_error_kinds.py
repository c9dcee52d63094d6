"""Errors that are planted among right detections, each found and called by its kind."""

import numpy as np
import pytest

from slipway.artifacts.operating_point import ScoreThresholds
from slipway.dataset.labels import LabelMap
from tests.fakes.scenes import Scene
from tests.unit.evaluator.test_coco import BUOY, LABELS, SHIP, detection, image

from services.evaluator import error_kinds
from services.evaluator.coco import ground_truth
from services.evaluator.error_kinds import (
    confusion_matrix,
    count_errors,
    judge,
    list_failures,
    reach_thresholds,
)
from services.evaluator.matching import match_images

LOOSE_SHIP = (10, 10, 60, 29)  # IoU with the ship is 19 / 50
SEA = (150, 60, 190, 90)


def analyse(images, detections, thresholds=None):
    """Return counts, matrix and failures; ship and buoy are the labels."""
    truth = ground_truth(images, LABELS)
    matches = match_images(truth, detections)
    counting = [reach_thresholds(one, LABELS, thresholds or ScoreThresholds(0.0)) for one in matches]
    judgements = [judge(one, flags) for one, flags in zip(matches, counting, strict=True)]
    failures = list_failures(truth, matches, judgements)
    return dict(count_errors(judgements)), confusion_matrix(LABELS, matches, judgements), failures


def only(**counts):
    return dict.fromkeys(["missed", "background", "wrong_class", "loose_box", "double"], 0) | counts


@pytest.mark.parametrize(
    ("detections", "errors"),
    [
        ([("ship", SHIP)], only()),
        ([], only(missed=1)),
        ([("ship", SHIP), ("ship", SEA)], only(background=1)),
        ([("buoy", SHIP)], only(wrong_class=1)),
        ([("ship", LOOSE_SHIP)], only(loose_box=1)),
        ([("ship", SHIP), ("ship", SHIP)], only(double=1)),
        ([("buoy", LOOSE_SHIP)], only(wrong_class=1, missed=1)),
        ([("ship", SHIP), ("buoy", SHIP)], only(wrong_class=1)),
        ([("ship", LOOSE_SHIP), ("ship", SHIP)], only(loose_box=1)),
        ([("buoy", SHIP), ("ship", LOOSE_SHIP)], only(wrong_class=1, loose_box=1)),
    ],
    ids=[
        "right",
        "missed",
        "background",
        "wrong-class",
        "loose",
        "double",
        "wrong-and-loose",
        "right-and-wrong",
        "loose-and-right",
        "two-half-right",
    ],
)
def test_each_planted_error_has_one_kind(detections, errors):
    planted = [detection(1, label, box, 0.9 - 0.1 * index) for index, (label, box) in enumerate(detections)]
    assert analyse([image(1, ("ship", SHIP))], planted)[0] == errors


def test_the_box_that_is_overlapped_most_decides():
    """A buoy is detected as a ship, and the detection also touches a ship."""
    ship, buoy = (0, 0, 60, 60), (40, 0, 100, 60)
    counts, matrix, _ = analyse([image(1, ("ship", ship), ("buoy", buoy))], [detection(1, "ship", buoy, 0.9)])
    assert counts == only(wrong_class=1, missed=1)
    assert matrix.counts == ((0, 1, 0), (0, 0, 1), (0, 0, 0))


def test_detections_on_an_image_without_boxes_are_on_background():
    counts, matrix, failures = analyse([image(1)], [detection(1, "buoy", SEA, 0.9)])
    assert counts == only(background=1)
    assert matrix.counts == ((0, 0, 0), (0, 0, 0), (1, 0, 0))
    assert (failures[0].annotated, failures[0].detected.label) == (None, "buoy")


def test_only_detections_that_reach_the_threshold_of_their_label_count():
    scene = [image(1, ("ship", SHIP), ("buoy", BUOY))]
    detections = [detection(1, "ship", SHIP, 0.5), detection(1, "buoy", BUOY, 0.5), detection(1, "buoy", SEA, 0.3)]
    assert analyse(scene, detections, ScoreThresholds(0.4))[0] == only()
    assert analyse(scene, detections, ScoreThresholds(0.4, {"ship": 0.6}))[0] == only(missed=1)
    assert analyse(scene, detections, ScoreThresholds(0.4, {"buoy": 0.2}))[0] == only(background=1)


def test_rows_of_the_matrix_add_up_to_boxes_and_columns_to_detections():
    scene = [
        image(1, ("ship", SHIP), ("buoy", BUOY), ("buoy", SEA)),
        image(2, ("ship", SHIP)),
        image(3, ("buoy", BUOY)),
    ]
    detections = [
        detection(1, "ship", SHIP, 0.9),
        detection(1, "ship", BUOY, 0.8),
        detection(1, "ship", BUOY, 0.7),
        detection(2, "buoy", SHIP, 0.9),
        detection(2, "buoy", SEA, 0.9),
        detection(3, "ship", LOOSE_SHIP, 0.9),
    ]
    _, matrix, _ = analyse(scene, detections)
    assert matrix.labels == ("buoy", "ship")
    assert matrix.counts == (
        (0, 1, 2),  # of three buoys one is taken for a ship, two are not detected
        (1, 1, 0),
        (1, 2, 0),
    )
    confusions = [(one.annotated, one.detected, one.count) for one in matrix.confusions()]
    assert confusions == [
        ("buoy", None, 2),
        (None, "ship", 2),
        ("buoy", "ship", 1),
        ("ship", "buoy", 1),
        (None, "buoy", 1),
    ]


def test_every_detection_and_every_box_of_a_drawn_split_is_counted_once():
    truth, detections = Scene(false_detections=9).draw(np.random.default_rng(3), 60)
    images = match_images(truth, detections)
    judgements = [judge(one, reach_thresholds(one, truth.labels, ScoreThresholds(0.2))) for one in images]
    counts, matrix = count_errors(judgements), np.array(confusion_matrix(truth.labels, images, judgements).counts)
    matches = sum(np.count_nonzero(judgement.kinds == "match") for judgement in judgements)
    assert matrix[:, :3].sum(axis=0).tolist() == [
        sum(one.class_id == class_id and one.score >= 0.2 for one in detections) for class_id in (1, 2, 3)
    ]
    assert matrix[:3].sum(axis=1).tolist() == [
        sum(box.class_id == class_id for box in truth.boxes) for class_id in (1, 2, 3)
    ]
    assert matches == matrix[:3, :3].trace()
    assert matches + sum(counts.values()) - counts["missed"] == matrix[:, :3].sum()
    assert min(counts.values()) > 0


def test_a_failure_names_file_labels_score_overlap_and_both_boxes():
    scene = [image(1, ("ship", SHIP)), image(2, ("buoy", BUOY))]
    _, _, failures = analyse(scene, [detection(1, "buoy", (10, 10, 60, 50), 0.87654)])
    missed, wrong = failures
    assert (missed.kind, missed.filename, missed.annotated.label, missed.detected) == ("missed", "2.jpg", "buoy", None)
    assert (wrong.kind, wrong.filename, wrong.iou) == ("wrong_class", "1.jpg", 0.8)
    assert (wrong.annotated.label, wrong.detected.label, wrong.detected.score) == ("ship", "buoy", 0.8765)
    assert wrong.annotated.box.content() == {"xmin": 10, "ymin": 10, "xmax": 60, "ymax": 60}
    assert wrong.detected.box.content() == {"xmin": 10, "ymin": 10, "xmax": 60, "ymax": 50}


def test_of_too_many_failures_the_worst_are_listed_and_a_rare_kind_is_whole(monkeypatch):
    monkeypatch.setattr(error_kinds, "_MAX_FAILURES", 10)
    detections = [detection(1, "ship", SEA, score) for score in np.linspace(0.1, 0.9, 50)]
    counts, _, failures = analyse([image(1, ("ship", SHIP), ("ship", (0, 60, 9, 69)))], detections)
    assert counts == only(missed=2, background=50)
    assert [failure.kind for failure in failures] == ["missed"] * 2 + ["background"] * 8
    assert failures[0].annotated.box.xmax == 60  # the larger one
    assert [failure.detected.score for failure in failures[2:4]] == [0.9, pytest.approx(0.8837)]


def test_labels_that_no_image_has_are_rows_of_zeros():
    labels = LabelMap(("a", "b", "c"))
    truth = ground_truth([], labels)
    assert confusion_matrix(labels, match_images(truth, []), []).counts == ((0,) * 4,) * 4
