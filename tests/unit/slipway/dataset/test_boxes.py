import math

import pytest

from slipway.dataset.boxes import Box, ImageSize, bounds, clip, denormalize, iou, normalize, overhang, turned_bounds

SIZE = ImageSize(200, 100)


def test_width_and_height_are_in_pixels():
    assert (Box(10, 20, 40, 25.5).width, Box(10, 20, 40, 25.5).height) == (30, 5.5)


@pytest.mark.parametrize(
    ("box", "is_empty"),
    [
        pytest.param(Box(0, 0, 1, 1), False, id="one-pixel"),
        pytest.param(Box(5, 0, 5, 9), True, id="thin"),
        pytest.param(Box(0, 5, 9, 5), True, id="flat"),
        pytest.param(Box(9, 0, 5, 9), True, id="swapped"),
        pytest.param(Box(0, 0, math.nan, 9), True, id="no-number"),
    ],
)
def test_box_without_area_is_empty(box, is_empty):
    assert box.is_empty is is_empty


@pytest.mark.parametrize(
    ("box", "pixels"),
    [
        pytest.param(Box(0, 0, 200, 100), 0, id="whole-image"),
        pytest.param(Box(-3, 0, 10, 10), 3, id="left"),
        pytest.param(Box(0, -4, 10, 10), 4, id="above"),
        pytest.param(Box(0, 0, 205.5, 10), 5.5, id="right"),
        pytest.param(Box(-1, -2, 10, 160), 60, id="worst-side"),
    ],
)
def test_overhang_is_that_of_the_worst_side(box, pixels):
    assert overhang(box, SIZE) == pixels


def test_clip_cuts_to_the_image():
    assert clip(Box(-5, -5, 250, 50), SIZE) == Box(0, 0, 200, 50)


def test_clip_of_a_box_beside_the_image_is_empty():
    assert clip(Box(210, 10, 250, 50), SIZE).is_empty


def test_clipped_and_drawn_at_the_edge_are_written_alike():
    clipped_box, drawn_box = clip(Box(-1.0, -0.0, 203.0, 100.0), SIZE), Box(0.0, 0.0, 200.0, 100.0)
    assert repr(clipped_box) == repr(drawn_box)


def test_normalized_box_has_the_order_of_model_garden():
    assert normalize(Box(20, 50, 100, 75), SIZE) == (0.5, 0.1, 0.75, 0.5)


def test_denormalize_is_the_inverse_of_normalize():
    assert denormalize(*normalize(Box(20, 50, 100, 75), SIZE), SIZE) == Box(20, 50, 100, 75)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        pytest.param(Box(0, 0, 10, 10), 1.0, id="same"),
        pytest.param(Box(5, 0, 15, 10), 1 / 3, id="half"),
        pytest.param(Box(10, 0, 20, 10), 0.0, id="touching"),
        pytest.param(Box(50, 50, 60, 60), 0.0, id="apart"),
        pytest.param(Box(2, 2, 2, 8), 0.0, id="empty"),
    ],
)
def test_iou_is_shared_area_over_covered_area(other, expected):
    assert iou(Box(0, 0, 10, 10), other) == pytest.approx(expected)


def test_bounds_are_the_smallest_box_around_points():
    assert bounds([(10.0, 40.0), (30.0, 20.0), (20.0, 30.0)]) == Box(10, 20, 30, 40)
    assert math.isnan(bounds([(10.0, 40.0), (30.0, math.nan)]).xmin)


@pytest.mark.parametrize("angle", [math.pi / 2, -math.pi / 2])
def test_bounds_of_a_box_that_is_turned_a_quarter_exchange_its_sides(angle):
    assert turned_bounds(50.0, 60.0, 40.0, 20.0, angle) == pytest.approx(Box(40, 40, 60, 80))
