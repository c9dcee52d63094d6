"""The split that a source comes with."""

import pytest

from slipway.errors import InputError
from slipway.store.folder import FolderStore
from slipway.store.interface import list_keys

from services.ingest.splits.source_split import SourceSplit, read_source_split, split_folders


def test_folders_named_after_splits_are_read_whichever_way_val_is_spelled():
    places = {"train/a.xml": "", "data/Test/b.xml": "", "valid/xml/c.xml": "", "training/d.xml": "", "e.xml": ""}
    assert split_folders(places) == {"train/a.xml": "train", "data/Test/b.xml": "test", "valid/xml/c.xml": "val"}


def test_folder_of_the_image_counts_where_the_annotation_lies_in_none():
    places = {"xml/a.xml": "images/train/a.jpg", "xml/b.xml": "images/test/b.jpg"}
    assert split_folders(places) == {"xml/a.xml": "train", "xml/b.xml": "test"}


@pytest.fixture
def read(tmp_path):
    """Read the split of a source with annotations of these stems and these lists."""

    def read(stems, lists):
        for name, text in lists.items():
            path = tmp_path / "ImageSets" / "Main" / f"{name}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
        source = FolderStore(tmp_path)
        return read_source_split({f"{stem}.xml": f"{stem}.jpg" for stem in stems}, list_keys(source), source)

    return read


def test_lists_are_read_line_by_line(read):
    split = read("abc", {"train": "a\r\n\r\nb\r\n", "test": "\ufeffc"})
    assert split == SourceSplit({"a.xml": "train", "b.xml": "train", "c.xml": "test"}, "ImageSets/Main")


@pytest.mark.parametrize("line", ["my ship", "my ship.jpg", "JPEGImages/my ship.jpg", "JPEGImages\\my ship.jpg"])
def test_name_with_a_space_is_one_name_whichever_way_it_is_listed(read, line):
    assert read(["my ship", "b"], {"train": line, "test": "b"}).split_of == {"my ship.xml": "train", "b.xml": "test"}


def test_flag_behind_a_name_is_passed_over(read):
    assert read("ab", {"train": "a  1", "test": "b -1"}).split_of == {"a.xml": "train", "b.xml": "test"}


def test_trainval_counts_only_where_train_and_val_are_not_there(read):
    assert read("abc", {"trainval": "a\nb", "test": "c"}).split_of == {
        "a.xml": "train",
        "b.xml": "train",
        "c.xml": "test",
    }
    lists = {"train": "a", "val": "b", "trainval": "a\nb", "test": "c"}
    assert read("abc", lists).split_of == {"a.xml": "train", "b.xml": "val", "c.xml": "test"}


def test_one_list_is_no_split(read):
    assert read("ab", {"train": "a\nb"}) == SourceSplit({})


def test_each_folder_of_a_collection_has_its_own_lists(tmp_path):
    store = FolderStore(tmp_path)
    for key, names in {"07": {"train": b"a", "test": b"b"}, "12": {"train": b"b", "test": b"a"}}.items():
        for name, text in names.items():
            store.write(f"VOC{key}/ImageSets/Main/{name}.txt", text)
    places = {f"VOC{key}/{stem}.xml": "" for key in ("07", "12") for stem in "ab"}
    assert read_source_split(places, list_keys(store), store).split_of == {
        "VOC07/a.xml": "train",
        "VOC07/b.xml": "test",
        "VOC12/a.xml": "test",
        "VOC12/b.xml": "train",
    }


def test_image_in_two_lists_is_an_error_that_names_them(read):
    split = read("ab", {"train": "a\nb", "test": "b"})
    assert split.split_of == {"a.xml": "train"}
    (finding,) = split.findings
    assert (finding.code, finding.severity) == ("split_overlap", "error")
    assert str(finding) == (
        "b.xml: is in ImageSets/Main/test.txt and in ImageSets/Main/train.txt; keep it in one of them"
    )


def test_listed_images_without_annotation_are_counted(read):
    (finding,) = read("ab", {"train": "a\ngone\nlost", "test": "b"}).findings
    assert (finding.code, finding.severity) == ("listed_without_annotation", "warning")
    assert str(finding) == ("ImageSets/Main/train.txt: lists 2 images that have no annotation, 'gone' first; left out")


def test_list_that_is_no_text_is_named(tmp_path, read):
    read("ab", {"train": "a", "test": "b"})
    (tmp_path / "ImageSets" / "Main" / "test.txt").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(InputError, match=r"ImageSets/Main/test\.txt: cannot be read as text"):
        read("ab", {})
