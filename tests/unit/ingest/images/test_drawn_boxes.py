"""Boxes that were drawn on another size than the stored image has."""

import pytest

from slipway.dataset.annotations import LabeledBox
from slipway.dataset.boxes import Box, ImageSize

from services.ingest.formats import Annotation
from services.ingest.images.drawn_boxes import drawn_boxes
from services.ingest.repair import Picture


def boxes_on(stored, size, *boxes, orientation=1, raw_size=None, is_relative=False):
    """Return the boxes of an annotation of `size` on a stored image, and what the findings say."""
    picture = Picture(b"", "jpeg", ImageSize(*stored), ImageSize(*(raw_size or stored)), orientation)
    labeled_boxes = tuple(LabeledBox("ship", Box(*box)) for box in boxes)
    size = ImageSize(*size) if size else None
    annotation = Annotation("a.xml", "a.jpg", size, labeled_boxes, is_relative=is_relative)
    stored_boxes, findings = drawn_boxes(annotation, picture)
    return [box.box for box in stored_boxes], [(finding.severity, str(finding)) for finding in findings]


def test_boxes_on_the_stored_image_stay_as_they_are():
    assert boxes_on((160, 120), (160, 120), (16, 32, 45, 45)) == ([Box(16, 32, 45, 45)], [])


@pytest.mark.parametrize(
    ("stored", "size", "factor"),
    [((160, 120), (80, 60), "2"), ((40, 30), (80, 60), "0.5"), ((333, 250), (80, 60), "4.16")],
    ids=["enlarged", "reduced", "rounded"],
)
def test_boxes_of_a_resized_image_are_scaled_and_it_is_said(stored, size, factor):
    (box,), ((severity, message),) = boxes_on(stored, size, (16, 32, 45, 45))
    assert box == pytest.approx(Box(16 * stored[0] / 80, 32 * stored[1] / 60, 45 * stored[0] / 80, 45 * stored[1] / 60))
    assert (severity, message) == (
        "warning",
        f"a.xml: boxes were drawn on 80 × 60, the image is {stored[0]} × {stored[1]}; "
        f"the boxes were scaled by {factor}",
    )


def test_size_that_a_box_leaves_is_wrong_and_not_used():
    boxes, findings = boxes_on((160, 120), (80, 60), (16, 32, 140, 45), (1, 1, 9, 9))
    assert boxes == [Box(16, 32, 140, 45), Box(1, 1, 9, 9)]
    assert findings == [
        ("warning", "a.xml: <size> says 80 × 60, the image is 160 × 120; the image's own size was used")
    ]


def test_size_that_differs_by_a_rounding_scales_nothing():
    boxes, findings = boxes_on((160, 120), (159, 119), (16, 32, 45, 45))
    assert (boxes, [severity for severity, _ in findings]) == ([Box(16, 32, 45, 45)], ["warning"])


def test_boxes_that_fit_an_image_of_another_shape_are_kept_with_a_warning():
    boxes, findings = boxes_on((160, 160), (80, 60), (16, 32, 45, 45))
    assert boxes == [Box(16, 32, 45, 45)]
    assert findings == [
        (
            "warning",
            "a.xml: <size> says 80 × 60, the image is 160 × 160; "
            "the boxes were taken as drawn on the image: look at them",
        )
    ]


def test_boxes_that_fit_their_size_but_not_the_image_are_one_error():
    _, findings = boxes_on((60, 80), (80, 60), (40, 20, 79, 59))
    assert findings == [
        (
            "error",
            "a.xml: boxes were drawn on 80 × 60, the image is 60 × 80; "
            "draw them again, or give the image that they fit",
        )
    ]


def test_shares_of_an_image_are_not_scaled_by_its_size():
    boxes, findings = boxes_on((160, 120), (80, 60), (0.1, 0.2, 0.5, 0.6))
    assert (boxes, len(findings)) == ([Box(0.1, 0.2, 0.5, 0.6)], 1)
    assert boxes_on((160, 120), None, (0.1, 0.2, 0.5, 0.6), is_relative=True) == ([Box(16, 24, 80, 72)], [])


def test_boxes_of_a_turned_and_resized_photo_are_scaled_and_turned():
    boxes, findings = boxes_on((60, 80), (160, 120), (32, 64, 90, 90), orientation=6, raw_size=(80, 60))
    assert boxes == [Box(15, 16, 28, 45)]
    assert len(findings) == 1
