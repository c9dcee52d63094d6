"""Cost of each kind of error, in scenes with one kind of error, and in one that was computed by hand."""

import pytest

from tests.unit.evaluator.test_coco import LABELS, SHIP, detection, image
from tests.unit.evaluator.test_error_kinds import LOOSE_SHIP, SEA

from services.evaluator.coco import ground_truth, measure
from services.evaluator.error_costs import ap50_costs
from services.evaluator.matching import match_images

FOUR_SHIPS = [image(number, ("ship", SHIP)) for number in range(1, 5)]
THREE_RIGHT = [detection(number, "ship", SHIP, 0.8) for number in range(1, 4)]
HALF = 51 / 101


def costs_of(images, detections):
    """Return the costs that are not zero, and AP50."""
    truth = ground_truth(images, LABELS)
    costs = ap50_costs(2, match_images(truth, detections))
    return {kind: cost for kind, cost in costs.items() if cost}, measure(truth, detections, 0).metrics.ap50


@pytest.mark.parametrize(
    ("extra", "kind"),
    [
        ([], "missed"),
        ([detection(4, "buoy", SHIP, 0.9)], "wrong_class"),
        ([detection(4, "ship", LOOSE_SHIP, 0.1)], "loose_box"),
    ],
    ids=["missed", "wrong-class", "loose"],
)
def test_a_kind_that_alone_keeps_from_ap50_of_one_costs_the_rest(extra, kind):
    costs, ap50 = costs_of(FOUR_SHIPS, [*THREE_RIGHT, *extra])
    assert ap50 == pytest.approx(76 / 101)
    assert costs == {kind: pytest.approx(25 / 101)}


@pytest.mark.parametrize(
    ("extra", "kind"),
    [(detection(1, "ship", SEA, 0.95), "background"), (detection(1, "ship", (11, 10, 60, 60), 0.95), "double")],
    ids=["background", "double"],
)
def test_a_false_detection_costs_the_precision_that_it_takes(extra, kind):
    right = [detection(number, "ship", SHIP, 0.9 if number == 1 else 0.8) for number in range(1, 5)]
    costs, ap50 = costs_of(FOUR_SHIPS, [*right, extra])
    assert ap50 == pytest.approx(0.8 if kind == "background" else (26 + 75 * 0.8) / 101)
    assert costs == {kind: pytest.approx(1 - ap50)}


def test_only_the_best_of_several_fixable_detections_becomes_a_match():
    loose = [detection(4, "ship", LOOSE_SHIP, 0.9), detection(4, "ship", LOOSE_SHIP, 0.85)]
    costs, ap50 = costs_of(FOUR_SHIPS, [*THREE_RIGHT, *loose])
    assert ap50 == pytest.approx(76 / 101 * 0.6)
    assert costs == {"loose_box": pytest.approx(1 - ap50)}


def test_kinds_that_hide_each_other_do_not_add_up():
    """Half of the boxes are missed, and each detection has a false one before it."""
    detections = [detection(n, "ship", box, score) for n in (1, 2) for box, score in ((SEA, 0.9), (SHIP, 0.8))]
    costs, ap50 = costs_of(FOUR_SHIPS, detections)
    assert ap50 == pytest.approx(HALF / 2)
    assert costs == {"background": pytest.approx(HALF / 2), "missed": pytest.approx(0.5 - HALF / 2)}


def test_a_class_that_is_missed_altogether_costs_its_whole_ap50():
    assert costs_of([image(1, ("ship", SHIP))], []) == ({"missed": 1.0}, 0.0)


def test_a_split_without_boxes_has_no_costs():
    assert ap50_costs(2, match_images(ground_truth([image(1)], LABELS), [detection(1, "ship", SHIP, 0.9)])) == (
        dict.fromkeys(["missed", "background", "wrong_class", "loose_box", "double"], 0.0)
    )
