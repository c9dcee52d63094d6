"""The comparison behind the export's gate."""

from dataclasses import replace

import numpy as np
import pytest

from slipway.artifacts.export import Parity

from services.exporter.compare import Outputs, ParityError, Tolerance, compare, merge

TOLERANCE = Tolerance(box_px=1e-3, score=1e-5, unmatched_ratio=0.01)


@pytest.fixture
def outputs() -> Outputs:
    """Two labels, five anchors, of which three are detected."""
    raw_boxes = np.array([[i, i, i + 10, i + 10] for i in range(5)], np.float32)
    raw_scores = np.array([[0.9, 0.001], [0.002, 0.7], [0.5, 0.003], [0.004, 0.005], [0.006, 0.001]], np.float32)
    return Outputs(
        boxes=raw_boxes[[0, 1, 2]],
        scores=np.array([0.9, 0.7, 0.5], np.float32),
        classes=np.array([1, 2, 1]),
        raw_boxes=raw_boxes,
        raw_scores=raw_scores,
    )


def test_equal_outputs_differ_by_nothing(outputs: Outputs) -> None:
    assert compare(outputs, outputs, TOLERANCE, "a.jpg") == Parity(images=1, anchors=5, detections=3)


def test_a_difference_within_the_tolerance_is_reported(outputs: Outputs) -> None:
    other = replace(outputs, boxes=outputs.boxes + np.float32(5e-4))

    assert compare(outputs, other, TOLERANCE, "a.jpg").max_box_diff_px == pytest.approx(5e-4, rel=0.01)


def test_detections_of_almost_equal_scores_may_change_places(outputs: Outputs) -> None:
    order = [1, 0, 2]
    swapped = replace(outputs, boxes=outputs.boxes[order], scores=outputs.scores[order], classes=outputs.classes[order])

    assert compare(outputs, swapped, TOLERANCE, "a.jpg").unmatched == 0


def test_a_moved_detection_names_the_image_and_both_differences(outputs: Outputs) -> None:
    other = replace(outputs, boxes=outputs.boxes + np.array([0, 0, 0, 0.25], np.float32))

    with pytest.raises(
        ParityError, match=r"a\.jpg: boxes differ by up to 0\.25 px \(at most 0\.001\), scores by up to 0"
    ):
        compare(outputs, other, TOLERANCE, "a.jpg")


def test_another_score_before_the_threshold_is_seen_though_nothing_is_detected(outputs: Outputs) -> None:
    nothing = replace(outputs, boxes=outputs.boxes[:0], scores=outputs.scores[:0], classes=outputs.classes[:0])
    assert nothing.raw_scores is not None
    other = replace(nothing, raw_scores=nothing.raw_scores + np.float32(0.01))

    assert compare(nothing, nothing, TOLERANCE, "a.jpg").anchors == 5
    with pytest.raises(ParityError, match="scores by up to 0"):
        compare(nothing, other, TOLERANCE, "a.jpg")


@pytest.mark.parametrize("shift", [-1, 1], ids=["from-0", "too-large"])
def test_class_ids_that_are_off_by_one_are_refused(outputs: Outputs, shift: int) -> None:
    with pytest.raises(ParityError, match="the export is not the measured model"):
        compare(outputs, replace(outputs, classes=outputs.classes + shift), TOLERANCE, "a.jpg")


def test_boxes_that_are_not_numbers_are_refused(outputs: Outputs) -> None:
    with pytest.raises(ParityError, match="boxes differ by up to nan px"):
        compare(outputs, replace(outputs, boxes=outputs.boxes * np.nan), TOLERANCE, "a.jpg")


def test_missing_detections_are_refused_but_for_one_that_rounding_decides(outputs: Outputs) -> None:
    two, one = (
        replace(outputs, boxes=outputs.boxes[:n], scores=outputs.scores[:n], classes=outputs.classes[:n])
        for n in (2, 1)
    )

    assert compare(outputs, two, TOLERANCE, "a.jpg").unmatched == 1
    with pytest.raises(ParityError, match=r"a\.jpg: 2 of 3 detections have no counterpart"):
        compare(outputs, one, TOLERANCE, "a.jpg")


def test_another_number_of_anchors_is_refused(outputs: Outputs) -> None:
    assert outputs.raw_scores is not None
    with pytest.raises(ParityError, match=r"\(4, 2\) anchors and labels, expected \(5, 2\)"):
        compare(outputs, replace(outputs, raw_scores=outputs.raw_scores[:4]), TOLERANCE, "a.jpg")


def test_an_export_without_raw_outputs_is_compared_by_its_detections(outputs: Outputs) -> None:
    bare = replace(outputs, raw_boxes=None, raw_scores=None)

    assert compare(outputs, bare, TOLERANCE, "a.jpg") == Parity(images=1, anchors=0, detections=3)


def parity(images: int, detections: int, unmatched: int, box: float, score: float) -> Parity:
    return Parity(
        images=images,
        anchors=10 * images,
        detections=detections,
        unmatched=unmatched,
        max_box_diff_px=box,
        max_score_diff=score,
    )


def test_the_sum_of_two_images_keeps_the_larger_difference() -> None:
    assert merge(parity(1, 3, 0, 1e-5, 2e-7), parity(1, 4, 1, 3e-5, 1e-7)) == parity(2, 7, 1, 3e-5, 2e-7)
