"""Names of splits, as people write them."""

import pytest

from services.ingest.splits.split_names import SplitName, list_split, parse_split_name


@pytest.mark.parametrize(
    ("names", "split"),
    [
        (
            ["train", "Training", "TRAIN", "trainset", "train_set", "training-images", "images_train", "train2017"],
            "train",
        ),
        (["val", "valid", "Validation", "dev", "eval", "evaluation", "ValSet", "val2017", "valLabels"], "val"),
        (["test", "Testing", "test_images", "tests", "TestSet", "test-1", "VOC2007_test", "test_list"], "test"),
        (["trainval", "train_val", "train-validation", "TrainVal", "VOC2012_trainval", "traindev"], "trainval"),
    ],
    ids=["train", "val", "test", "trainval"],
)
def test_split_is_read_in_every_usual_spelling(names, split):
    assert {name: parse_split_name(name) for name in names} == dict.fromkeys(names, SplitName(split, ""))


@pytest.mark.parametrize(
    ("name", "split"),
    [
        pytest.param("training_demo", SplitName("train", "demo"), id="words-behind"),
        pytest.param("raccoon_test", SplitName("test", "raccoon"), id="words-before"),
        pytest.param("crash_test_dummy_train", SplitName("train", "crash_test_dummy"), id="class-of-a-split's-name"),
        pytest.param("aeroplane_trainval", SplitName("trainval", "aeroplane"), id="class-of-voc"),
        pytest.param("train_test", SplitName("test", "train"), id="last-of-two"),
    ],
)
def test_other_words_of_a_name_are_kept(name, split):
    assert parse_split_name(name) == split


@pytest.mark.parametrize(
    "name", ["trains_and_planes", "latest", "contest", "trainer", "images", "", "2017", "test_train_x"]
)
def test_name_that_only_contains_letters_of_a_split_is_of_none(name):
    assert parse_split_name(name) is None or parse_split_name(name).rest


def test_suffix_of_a_list_does_not_count():
    assert list_split("ImageSets/Main/Train.txt") == SplitName("train", "")
    assert list_split("notes.train") is None
