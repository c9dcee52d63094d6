"""Tests of the boxes that are kept, and of the findings on the others."""

import math

import pytest

from slipway.dataset.annotations import AnnotatedImage, LabeledBox
from slipway.dataset.boxes import Box, ImageSize
from slipway.dataset.labels import LabelMap

from services.ingest.validate import check_boxes, check_dataset

SIZE = ImageSize(650, 417)


def check(*boxes, label="raccoon", labels=None):
    return check_boxes([LabeledBox(label, Box(*box)) for box in boxes], SIZE, labels, "annotations/raccoon-7.xml")


def test_box_inside_its_image_is_kept_as_it_is():
    boxes, findings = check((0, 0, 650, 417))
    assert (boxes[0].box, findings) == (Box(0, 0, 650, 417), [])


def test_box_wider_than_its_image_names_file_object_and_both_numbers():
    boxes, (finding,) = check((0, 0, 10, 10), (81, 88, 700, 408))
    assert len(boxes) == 1
    assert (finding.code, finding.severity, finding.object) == ("box_outside", "error", 1)
    assert str(finding) == (
        "annotations/raccoon-7.xml: object 1 ('raccoon') ends at x=700, image width is 650; "
        "redraw the box or fix <size> in the xml"
    )


@pytest.mark.parametrize(
    ("box", "says"),
    [
        ((-80, 5, 30, 30), "begins at x=-80, left of the image"),
        ((5, -80, 30, 30), "begins at y=-80, above the image"),
        ((5, 5, 30, 500), "ends at y=500, image height is 417"),
        ((700, 5, 730, 30), "ends at x=730, image width is 650"),
    ],
    ids=["left", "above", "below", "beside"],
)
def test_side_by_which_a_box_leaves_is_named(box, says):
    _, (finding,) = check(box)
    assert says in finding.message


def test_overhang_of_a_rounding_is_clipped_and_counted():
    boxes, (finding,) = check((-1, 0, 652, 417))
    assert boxes[0].box == Box(0, 0, 650, 417)
    assert (finding.code, finding.severity, finding.action) == ("box_overhang", "warning", "clipped to the image")


@pytest.mark.parametrize("box", [(5, 5, 5, 30), (5, 5, 30, 5), (5, 5, 5, 5)], ids=["thin", "flat", "point"])
def test_empty_box_is_dropped_and_reported_by_object(box):
    boxes, (finding,) = check(box)
    assert boxes == []
    assert (finding.code, finding.severity, finding.object) == ("box_empty", "warning", 0)


def test_swapped_corners_are_an_error_and_not_guessed():
    _, (finding,) = check((30, 5, 10, 30))
    assert (finding.code, finding.severity) == ("box_swapped", "error")
    assert "xmin=30 above xmax=10" in finding.message


def test_missing_number_is_named_by_its_tag():
    _, (finding,) = check((5, 5, 30, math.nan))
    assert (finding.code, finding.message) == ("box_not_a_number", "object 0 ('raccoon') has no number in <ymax>")


def test_label_that_the_given_map_lacks_names_those_it_has():
    boxes, (finding,) = check((5, 5, 30, 30), label="fox", labels=LabelMap(("cat", "dog")))
    assert boxes == []
    assert (finding.code, finding.severity) == ("label_unknown", "error")
    assert "it has cat, dog" in finding.message


def test_box_without_a_label_is_an_error():
    _, (finding,) = check((5, 5, 30, 30), label="")
    assert finding.code == "label_missing"


def test_box_drawn_twice_is_kept_once():
    boxes, (finding,) = check((5, 5, 30, 30), (5, 5, 30, 30))
    assert len(boxes) == 1
    assert (finding.code, finding.object) == ("duplicate_box", 1)


def image(name, sha, *labels):
    boxes = tuple(LabeledBox(label, Box(i, 0, i + 5, 5)) for i, label in enumerate(labels))
    return AnnotatedImage(name, 0, sha, "jpeg", SIZE, boxes)


def test_box_drawn_twice_over_the_edge_is_kept_once():
    boxes, findings = check((5, 5, 651, 30), (5, 5, 652, 30))
    assert [labeled_box.box for labeled_box in boxes] == [Box(5, 5, 650, 30)]
    assert [finding.code for finding in findings] == ["box_overhang", "duplicate_box"]


def test_same_bytes_twice_name_both_files():
    (finding,) = check_dataset({"train": [image("a.jpg", "1"), image("b.jpg", "2"), image("c.jpg", "1")]})
    assert (finding.code, finding.file, finding.message) == ("duplicate_image", "c.jpg", "has the same bytes as a.jpg")


def test_same_bytes_in_two_splits_are_told_apart_from_twins_in_one():
    (finding,) = check_dataset({"train": [image("a.jpg", "1")], "test": [image("b.jpg", "1")]})
    assert finding.code == "duplicate_across_splits"
    assert finding.message == "is in test, and a.jpg with the same bytes is in train"


@pytest.mark.parametrize(("label", "difference"), [("Ship", "case"), ("sh ip", "spaces"), ("SHIP ", "case and spaces")])
def test_labels_that_differ_only_in_case_or_spaces_are_pointed_out(label, difference):
    splits = {"train": [image("a.jpg", "1", "ship", "ship")], "test": [image("b.jpg", "2", label)]}
    (finding,) = check_dataset(splits)
    assert (finding.code, finding.file) == ("label_spelling", "b.jpg")
    assert finding.message == f"label {label!r} (1 box) is spelled like 'ship' (2 boxes), but for {difference}"


def test_an_overhang_below_the_precision_of_relative_coordinates_is_clipped_without_a_finding():
    boxes, findings = check_boxes([LabeledBox("ship", Box(-0.004, 0, 10, 48.009))], ImageSize(64, 48), None, "a.txt")
    assert [item.box for item in boxes] == [Box(0, 0, 10, 48)]
    assert findings == []


def test_shares_of_the_image_instead_of_pixels_are_an_error_for_each_box():
    boxes, findings = check((0.2, 0.5, 0.6, 0.8), (0, 0, 1, 1.005))
    assert boxes == []
    assert [(finding.code, finding.severity, finding.object) for finding in findings] == [
        ("box_relative", "error", 0),
        ("box_relative", "error", 1),
    ]
    assert "has shares of the image instead of pixels: xmin=0.2, ymin=0.5, xmax=0.6, ymax=0.8" in findings[0].message


def test_one_tiny_box_among_others_is_kept_with_a_warning():
    boxes, (finding,) = check((0.2, 0.5, 0.6, 0.8), (10, 10, 60, 80))
    assert len(boxes) == 2
    assert (finding.code, finding.severity, finding.object) == ("box_tiny", "warning", 0)
    assert str(finding).endswith("is 0.4 × 0.3 pixels at x=0.2, y=0.5; kept: look at it")


def test_boxes_without_area_at_the_origin_are_empty_and_no_shares():
    _, (finding,) = check((0, 0, 0, 0))
    assert finding.code == "box_empty"


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("a.xml", "a.xml: object 0 ('') has no <name>; name it in the xml"),
        ("a.json#1.jpg", "a.json#1.jpg: object 0 ('') has no name; name it in the annotation"),
        ("annotations.xml#1.jpg", "annotations.xml#1.jpg: object 0 ('') has no name; name it in the annotation"),
    ],
    ids=["xml", "json", "shared xml"],
)
def test_a_message_on_another_format_names_no_tag_of_xml(file, message):
    _, findings = check_boxes([LabeledBox("", Box(1, 1, 9, 9))], ImageSize(64, 48), None, file)
    assert [str(finding) for finding in findings] == [message]


def test_one_box_under_two_labels_is_kept_twice_with_a_warning():
    objects = [LabeledBox(label, Box(5, 5, 30, 40)) for label in ("ship", "buoy", "ship")]
    boxes, findings = check_boxes(objects, ImageSize(64, 48), None, "a.xml")
    assert [box.label for box in boxes] == ["ship", "buoy"]
    assert [(finding.code, finding.severity, finding.object) for finding in findings] == [
        ("box_two_labels", "warning", 1),
        ("duplicate_box", "info", 2),
    ]
    assert "object 1 ('buoy') has the box of an object 'ship'" in findings[0].message
