"""The label map of a dataset: the given one, or one of its boxes' labels."""

import pytest

from slipway.dataset.annotations import AnnotatedImage, LabeledBox
from slipway.dataset.boxes import Box, ImageSize
from slipway.dataset.labels import LabelMap
from slipway.errors import InputError
from slipway.store.folder import FolderStore
from slipway.store.interface import list_keys

from services.ingest.label_map import ChosenLabels, accepted_labels, choose_labels, read_given_label_map

TEXT = "item { id: 1 name: 'ship' }"


def image(*labels):
    boxes = tuple(LabeledBox(label, Box(0, 0, 1, 1)) for label in labels)
    return AnnotatedImage("a.jpg", 1, "ab" * 32, "jpeg", ImageSize(9, 9), boxes)


@pytest.fixture
def choose(tmp_path):
    """Choose the labels of images with these labels in a source with these files."""

    def choose(*labels, given_labels=None, **files):
        source = FolderStore(tmp_path)
        for name, text in files.items():
            source.write(f"{name.replace('__', '/')}.pbtxt", text.encode())
        return choose_labels([image(*labels), image()], given_labels, list(list_keys(source)), source)

    return choose


def label_map(*names):
    return LabelMap(names).dump()


def test_labels_of_all_boxes_are_numbered_in_alphabetical_order(choose):
    assert choose("ship", "buoy", "ship") == ChosenLabels(LabelMap(("buoy", "ship")))


def test_given_label_map_is_used_as_it_is(choose):
    given_labels = LabelMap(("ship", "buoy", "wreck"))
    assert choose("buoy", given_labels=given_labels, map=label_map("buoy")) == ChosenLabels(given_labels)


@pytest.mark.parametrize("given_labels", [None, LabelMap(("ship",))], ids=["none-given", "given"])
def test_images_without_boxes_are_refused(choose, given_labels):
    with pytest.raises(InputError, match="no image has a box that can be used"):
        choose(given_labels=given_labels)


@pytest.mark.parametrize(
    "key", ["annotations__label_map", "training__labelmap", "pascal_label_map", "data__my__objects"]
)
def test_label_map_of_the_source_is_used_with_its_ids_and_named(choose, key):
    choice = choose("cat", "dog", **{key: label_map("dog", "cat")})
    note = f"label map: {key.replace('__', '/')}.pbtxt (2 labels)"
    assert choice == ChosenLabels(LabelMap(("dog", "cat")), note)


def test_label_map_of_the_source_may_have_labels_without_boxes(choose):
    choice = choose("cat", map=label_map("dog", "cat", "fox"))
    assert (choice.labels.names, choice.note) == (("dog", "cat", "fox"), "label map: map.pbtxt (3 labels)")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            label_map("Dog", "fox"),
            "is a label map that lacks 'cat', 'dog', of 3 boxes; it has Dog, fox",
            id="other-labels",
        ),
        pytest.param(
            "item { id: 1 name: 'dog' } item { id: 3 name: 'cat' }",
            "ids are [1, 3], expected 1 to 2 without gaps; 0 is background",
            id="gap",
        ),
        pytest.param("item {\n id: 1 name: dog\n}", "item {id: 1 name: dog} needs id and name", id="no-quotes"),
    ],
)
def test_label_map_of_the_source_that_cannot_be_used_is_reported(choose, text, message):
    choice = choose("cat", "dog", "dog", annotations__label_map=text)
    assert (choice.labels, choice.note) == (LabelMap(("cat", "dog")), "")
    (finding,) = choice.findings
    assert (finding.code, finding.severity) == ("label_map_not_used", "warning")
    assert str(finding).startswith(f"annotations/label_map.pbtxt: {message}")
    assert str(finding).endswith("; not used; correct it, or give one with --label-map")


def test_label_map_that_fits_is_used_though_others_do_not(choose):
    choice = choose("cat", a=label_map("person"), b=label_map("cat"), c=label_map("cat", "dog"))
    assert (choice.labels.names, choice.note) == (("cat",), "label map: b.pbtxt (1 label)")
    assert [finding.file for finding in choice.findings] == ["a.pbtxt", "c.pbtxt"]


def test_label_maps_that_number_the_labels_differently_are_an_error(choose):
    choice = choose("cat", "dog", a=label_map("cat", "dog"), b=label_map("dog", "cat"))
    assert (choice.labels, choice.note) == (LabelMap(("cat", "dog")), "")
    (finding,) = choice.findings
    assert (finding.code, finding.severity) == ("label_maps_differ", "error")
    assert str(finding) == (
        "a.pbtxt: and b.pbtxt number the same labels differently; give the right one with --label-map"
    )
    same = label_map("dog", "cat")
    assert choose("cat", "dog", a=same, b=same).note == "label map: a.pbtxt (2 labels)"


def test_files_that_are_not_label_maps_are_passed_over(choose, tmp_path):
    (tmp_path / "labels.txt").write_text("cat\ndog\n")
    (tmp_path / "labelmap.txt").write_text("# label:color_rgb\nbackground:0,0,0::\n")
    (tmp_path / "graph.pbtxt").write_bytes(b"node { name: 'x' }\xff")
    assert choose("cat") == ChosenLabels(LabelMap(("cat",)))


def test_text_file_with_a_label_map_is_one(choose, tmp_path):
    (tmp_path / "labelmap.txt").write_text(label_map("dog", "cat"))
    assert choose("cat", "dog").note == "label map: labelmap.txt (2 labels)"


DISPLAY = "item { name: '/m/1' id: 1 display_name: 'dog' } item { name: '/m/2' id: 2 display_name: 'cat' }"


def test_boxes_may_have_the_display_names_of_a_label_map(choose):
    for arguments in ({"map": DISPLAY}, {"given_labels": LabelMap.parse(DISPLAY)}):
        assert choose("cat", "dog", **arguments).labels == LabelMap(("dog", "cat"))
    assert choose("/m/2", given_labels=LabelMap.parse(DISPLAY)).labels == LabelMap(("/m/1", "/m/2"))
    assert accepted_labels(LabelMap.parse(DISPLAY)) == LabelMap(("/m/1", "/m/2", "dog", "cat"))
    assert accepted_labels(None) is None


def test_boxes_of_names_and_display_names_are_refused(choose):
    with pytest.raises(InputError, match=r"labels of both, such as '/m/2' and 'dog'; keep one of the two fields"):
        choose("dog", "/m/2", given_labels=LabelMap.parse(DISPLAY))


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
