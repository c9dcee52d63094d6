"""Shapes of annotation tools as upright boxes."""

import math

import pytest

from slipway.dataset.annotations import LabeledBox
from slipway.dataset.boxes import Box

from services.ingest.formats.shapes import Shape, read_shapes


def test_an_upright_box_is_taken_without_a_finding():
    assert read_shapes([Shape("ship", "box", Box(1, 2, 3, 4))], "a") == ((LabeledBox("ship", Box(1, 2, 3, 4)),), ())


@pytest.mark.parametrize("degrees", [90, -90, 270])
def test_a_quarter_turn_exchanges_width_and_height(degrees):
    boxes, findings = read_shapes([Shape("ship", "box", Box(0, 10, 40, 20), degrees)], "a")
    assert boxes[0].box == pytest.approx((15, -5, 25, 35))
    assert [str(finding) for finding in findings] == [
        f"a: object 0 ('ship') is turned by {degrees}°; its bounds were taken"
    ]


def test_an_eighth_turn_is_bounded():
    boxes, _ = read_shapes([Shape("ship", "box", Box(0, 0, 10, 10), 45)], "a")
    assert boxes[0].box.width == pytest.approx(10 * math.sqrt(2))


def test_half_a_turn_changes_nothing():
    boxes, findings = read_shapes([Shape("ship", "box", Box(0, 10, 40, 20), 180)], "a")
    assert (boxes[0].box, findings) == (Box(0, 10, 40, 20), ())


def test_other_shapes_are_bounded_or_left_out_and_counted():
    shapes = [Shape("ship", "polygon", Box(1, 1, 2, 2)), Shape("buoy", "points", None)]
    boxes, findings = read_shapes(shapes, "a")
    assert [item.label for item in boxes] == ["ship"]
    assert [str(finding) for finding in findings] == [
        "a: object 0 ('ship') is a polygon; its bounds were taken",
        "a: object 1 ('buoy') has the shape points, which has no box; left out",
    ]
