"""The label map of a dataset: the given one, or one of its boxes' labels."""

import pytest

from slipway.dataset.annotations import AnnotatedImage, LabeledBox
from slipway.dataset.boxes import Box, ImageSize
from slipway.dataset.labels import LabelMap
from slipway.errors import InputError
from slipway.store.folder import FolderStore

from services.ingest.label_map import label_map, read_given_label_map

TEXT = "item { id: 1 name: 'ship' }"


def image(*labels):
    boxes = tuple(LabeledBox(label, Box(0, 0, 1, 1)) for label in labels)
    return AnnotatedImage("a.jpg", 1, "ab" * 32, "jpeg", ImageSize(9, 9), boxes)


def test_labels_of_all_boxes_are_numbered_in_alphabetical_order():
    assert label_map([image("ship", "buoy"), image(), image("ship")], None) == LabelMap(("buoy", "ship"))


def test_given_label_map_is_used_as_it_is():
    given_labels = LabelMap(("ship", "buoy", "wreck"))
    assert label_map([image("buoy")], given_labels) is given_labels


@pytest.mark.parametrize("given_labels", [None, LabelMap(("ship",))], ids=["none-given", "given"])
def test_images_without_boxes_are_refused(given_labels):
    with pytest.raises(InputError, match="no image has a box that can be used"):
        label_map([image()], given_labels)


def test_run_without_a_label_map_has_none(tmp_path):
    assert read_given_label_map(None, FolderStore(tmp_path)) is None


def test_label_map_is_given_as_text_or_as_a_key_of_the_source(tmp_path):
    (tmp_path / "map.pbtxt").write_text(TEXT)
    source = FolderStore(tmp_path)
    assert read_given_label_map(TEXT, source) == read_given_label_map("map.pbtxt", source) == LabelMap(("ship",))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(None, r"label map map\.pbtxt: not in .*; give its path inside that folder", id="missing"),
        pytest.param(b"\xff\xfe", r"label map map\.pbtxt: is not text", id="bytes"),
        pytest.param(b"ship", r"map\.pbtxt: no item found", id="no-item"),
    ],
)
def test_key_that_is_not_a_label_map_is_named(tmp_path, content, says):
    if content is not None:
        (tmp_path / "map.pbtxt").write_bytes(content)
    with pytest.raises(InputError, match=says):
        read_given_label_map("map.pbtxt", FolderStore(tmp_path))
