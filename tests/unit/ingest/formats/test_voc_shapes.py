"""Shapes of an object: boxes, turned boxes and polygons."""

import math
from xml.etree.ElementTree import fromstring

import pytest

from slipway.dataset.boxes import Box

from services.ingest.formats.voc_shapes import read_shapes

BOX = "<bndbox><xmin>10</xmin><ymin>20</ymin><xmax>30</xmax><ymax>40</ymax></bndbox>"
TURNED = "<robndbox><cx>50</cx><cy>60</cy><w>40</w><h>20</h><angle>{}</angle></robndbox>"
ROTATION = "<attributes><attribute><name>rotation</name><value>{}</value></attribute></attributes>"


def shapes(*elements):
    boxes, notes = read_shapes(fromstring(f"<object>{''.join(elements)}</object>"))
    return boxes, [(severity, f"{message}; {action}") for _, severity, message, action in notes]


@pytest.mark.parametrize(
    "corners",
    [BOX, BOX.replace("bndbox", "bbox"), BOX[len("<bndbox>") : -len("</bndbox>")]],
    ids=["bndbox", "bbox", ""],
)
def test_corners_are_read_under_any_tag(corners):
    assert shapes("<name>ship</name>", corners) == ([Box(10, 20, 30, 40)], [])


@pytest.mark.parametrize(
    ("angle", "box"),
    [
        (0, Box(30, 50, 70, 70)),
        (math.pi / 2, Box(40, 40, 60, 80)),
        (math.pi / 4, Box(28.787, 38.787, 71.213, 81.213)),
        (-math.pi / 4, Box(28.787, 38.787, 71.213, 81.213)),
    ],
)
def test_bounds_of_a_turned_box_are_taken_and_said(angle, box):
    (turned_box,), notes = shapes(TURNED.format(angle))
    assert turned_box == pytest.approx(box, abs=1e-3)
    assert notes == [("info", f"is turned by {math.degrees(angle):.0f}°; its bounds were taken")]


def test_rotation_that_cvat_writes_turns_the_box():
    (box,), notes = shapes(BOX, ROTATION.format("90.0"))
    assert box == pytest.approx(Box(10, 20, 30, 40))
    assert notes == [("info", "is turned by 90°; its bounds were taken")]
    (box,), _ = shapes(BOX.replace("40", "24"), ROTATION.format("90.0"))
    assert box == pytest.approx(Box(18, 12, 22, 32))


def test_rotation_of_zero_is_not_mentioned():
    assert shapes(BOX, ROTATION.format("0.0")) == ([Box(10, 20, 30, 40)], [])


@pytest.mark.parametrize("elements", [[BOX, "<angle>30</angle>"], [BOX.replace("</b", "<rotation>30</rotation></b")]])
def test_angle_without_a_unit_is_an_error(elements):
    (note,) = shapes(*elements)[1]
    assert note[0] == "error"
    assert "30 in an unknown unit; draw an upright box" in note[1]


@pytest.mark.parametrize(
    "points",
    [
        "<pt><x>10</x><y>40</y></pt><pt><x>30</x><y>20</y></pt><pt><x>20</x><y>30</y></pt>",
        "<x1>10</x1><y1>40</y1><x2>30</x2><y2>20</y2><x3>20</x3><y3>30</y3>",
    ],
    ids=["labelme", "numbered"],
)
def test_bounds_of_a_polygon_are_taken_and_said(points):
    assert shapes(f"<polygon>{points}</polygon>") == (
        [Box(10, 20, 30, 40)],
        [("info", "is a polygon; its bounds were taken")],
    )


def test_box_is_used_where_an_object_has_a_polygon_besides():
    assert shapes(BOX, "<polygon><x1>1</x1><y1>2</y1></polygon>") == (
        [Box(10, 20, 30, 40)],
        [("info", "has a <polygon> besides its box; the box was used")],
    )


@pytest.mark.parametrize(
    ("elements", "says"),
    [
        (["<name/>", "<circle/>"], "has no <bndbox>, but <name> <circle>; draw one box for it, or remove it"),
        ([], "has no <bndbox>; draw one box for it, or remove it"),
        ([TURNED, TURNED], "has 2 shapes; draw one box for it, or remove it"),
        (["<polygon><pt><x>1</x></pt></polygon>"], "has a <polygon> of 1 x and 0 y; draw a box for it"),
        (
            ["<bndbox><left>1</left><top>2</top></bndbox>"],
            "has <left>, <top> in its <bndbox>, expected <xmin>, <ymin>, <xmax>, <ymax>; write the corners in pixels",
        ),
        ([BOX.replace("<xmin>", "<xmin>5</xmin><xmin>")], "has 2 different <xmin>: 5, 10; leave one"),
    ],
    ids=["circle", "none", "two-turned", "half-polygon", "other-corners", "two-xmin"],
)
def test_shape_that_cannot_be_read_is_an_error_that_names_it(elements, says):
    boxes, notes = shapes(*elements)
    assert all(math.isnan(side) for side in boxes[0]) or boxes[0].xmax == 30
    assert notes == [("error", says)]
