"""The split of folders named after splits."""

import pytest

from services.ingest.splits.split_folders import read_folder_split


def split_of(*annotations, **image_keys):
    return dict(read_folder_split(dict.fromkeys(annotations, "") | image_keys).split_of)


def test_folders_named_after_splits_are_read_whichever_way_val_is_spelled():
    assert split_of("train/a.xml", "data/Test/b.xml", "valid/xml/c.xml", "training/d.xml", "e.xml") == {
        "train/a.xml": "train",
        "data/Test/b.xml": "test",
        "valid/xml/c.xml": "val",
        "training/d.xml": "train",
    }


def test_folder_of_the_image_counts_where_the_annotation_lies_in_none():
    image_keys = {"xml/a.xml": "images/train/a.jpg", "xml/b.xml": "images/test/b.jpg"}
    assert read_folder_split(image_keys).split_of == {"xml/a.xml": "train", "xml/b.xml": "test"}


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("training", "testing"),
        ("Training/images", "Testing/images"),
        ("raccoon_train", "raccoon_test"),
        ("set A/train_a", "set A/test_a"),
        ("VOC2007_trainval/Annotations", "VOC2007_test/Annotations"),
        ("data/trainval", "data/test"),
        ("images_train", "test_images"),
        ("test/train", "test/test"),
        ("cats/train", "dogs/test"),
    ],
)
def test_pairs_of_folders_are_train_and_test(train, test):
    assert split_of(f"{train}/a.xml", f"{test}/b.xml") == {f"{train}/a.xml": "train", f"{test}/b.xml": "test"}


def test_folder_above_the_splits_is_not_a_split_whatever_its_name():
    assert split_of("test/train/a.xml", "test/val/b.xml", "test/c.xml") == {
        "test/train/a.xml": "train",
        "test/val/b.xml": "val",
    }


def test_trainval_counts_only_where_there_is_no_train():
    assert split_of("trainval/a.xml", "test/b.xml") == {"trainval/a.xml": "train", "test/b.xml": "test"}
    assert split_of("train/a.xml", "trainval/b.xml", "val/c.xml") == {"train/a.xml": "train", "val/c.xml": "val"}


@pytest.mark.parametrize("folders", [["train"], ["train", "training_b"], ["test", "val"], ["train_a", "test_b"], ["a"]])
def test_folders_without_a_pair_are_no_split(folders):
    assert not read_folder_split({f"{folder}/{n}.xml": "" for n, folder in enumerate(folders)}).is_split


def test_annotation_and_image_in_folders_of_two_splits_are_an_error():
    image_keys = {
        "xml/train/a.xml": "img/train/a.jpg",
        "xml/test/b.xml": "img/test/b.jpg",
        "xml/train/c.xml": "img/test/c.jpg",
    }
    folders = read_folder_split(image_keys)
    assert set(folders.split_of) == {"xml/train/a.xml", "xml/test/b.xml"}
    (finding,) = folders.findings
    assert (finding.file, finding.code, finding.severity) == ("xml/train/c.xml", "split_overlap", "error")
    assert finding.message == "is in a folder of train, and its image img/test/c.jpg in one of test"
