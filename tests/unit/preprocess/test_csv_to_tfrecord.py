"""One image with its boxes becomes one tf.Example, read here by the wire format's own rules."""

import struct

import pytest

from slipway.dataset.annotations import AnnotatedImage, LabeledBox
from slipway.dataset.boxes import Box, ImageSize
from slipway.dataset.labels import LabelMap
from slipway.errors import InputError

from services.preprocess.csv_to_tfrecord import to_example

LABELS = LabelMap(("buoy", "ship"))
BOXES = (
    LabeledBox("ship", Box(20.0, 50.0, 100.0, 75.0), truncated=True),
    LabeledBox("buoy", Box(0.0, 0.0, 200.0, 100.0), difficult=True),
)


def image(*boxes, filename="images/a.jpg"):
    return AnnotatedImage(filename, 7, "ab" * 32, "jpeg", ImageSize(200, 100), boxes)


def varint(content, position):
    value = shift = 0
    while True:
        byte, position = content[position], position + 1
        value, shift = value | (byte & 0x7F) << shift, shift + 7
        if byte < 0x80:
            return value, position


def fields(content):
    """Yield (number, content) of a message that holds nothing but length-delimited fields."""
    position = 0
    while position < len(content):
        tag, position = varint(content, position)
        assert tag & 7 == 2
        length, position = varint(content, position)
        yield tag >> 3, content[position : position + length]
        position += length


def values(feature):
    """Read one Feature: a list of bytes (1), of floats (2) or of ints (3); the last two are packed."""
    for kind, content in fields(feature):
        items = [item for _, item in fields(content)]
        if kind == 1:
            return items
        (content_of_all,) = items
        if kind == 2:
            return list(struct.unpack(f"<{len(content_of_all) // 4}f", content_of_all))
        numbers, position = [], 0
        while position < len(content_of_all):
            value, position = varint(content_of_all, position)
            numbers.append(value)
        return numbers
    return []


def read(example):
    """Return the features of a serialized tf.Example."""
    ((_, features),) = fields(example)
    entries = [dict(fields(entry)) for _, entry in fields(features)]
    return {entry[1].decode(): values(entry[2]) for entry in entries}


def test_two_drawn_boxes_become_one_example():
    assert read(to_example(image(*BOXES), b"\xff\xd8 bytes", LABELS)) == {
        "image/encoded": [b"\xff\xd8 bytes"],
        "image/format": [b"jpeg"],
        "image/filename": [b"images/a.jpg"],
        "image/source_id": [b"7"],
        "image/key/sha256": [b"ab" * 32],
        "image/height": [100],
        "image/width": [200],
        "image/object/bbox/ymin": [0.5, 0.0],
        "image/object/bbox/xmin": [pytest.approx(0.1), 0.0],  # drawn at x=20 of 200
        "image/object/bbox/ymax": [0.75, 1.0],
        "image/object/bbox/xmax": [0.5, 1.0],
        "image/object/class/text": [b"ship", b"buoy"],
        "image/object/class/label": [2, 1],  # 0 is background
        "image/object/area": [2000.0, 20000.0],
        "image/object/is_crowd": [0, 0],
        "image/object/difficult": [0, 1],
        "image/object/truncated": [1, 0],
    }


def test_image_without_boxes_is_an_example_with_empty_lists():
    example = read(to_example(image(), b"x", LABELS))
    assert {name for name, numbers in example.items() if not numbers} == {
        name for name in example if name.startswith("image/object/")
    }
    assert example["image/source_id"] == [b"7"]


def test_whole_coordinates_read_as_integers_are_floats_all_the_same():
    example = read(to_example(image(LabeledBox("ship", Box(0, 0, 200, 100))), b"x", LABELS))
    assert (example["image/object/bbox/xmax"], example["image/object/area"]) == ([1.0], [20000.0])


def test_name_that_is_no_unicode_keeps_its_bytes():
    example = read(to_example(image(filename="caf\udce9.jpg"), b"x", LABELS))
    assert example["image/filename"] == [b"caf\xe9.jpg"]


def test_label_that_the_map_lacks_is_refused():
    with pytest.raises(InputError, match="label 'fox' is not in the label map"):
        to_example(image(LabeledBox("fox", Box(0, 0, 1, 1))), b"x", LABELS)
