"""The split that annotations give."""

import pytest

from services.ingest.splits.annotated_split import annotated_split, split_in_name


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("instances_train2017.json", "train"),
        ("annotations/val.json", "val"),
        ("a/Valid.json", "val"),
        ("test_labels.csv", "test"),
        ("train/instances.json", ""),
        ("trainval.json", ""),
        ("train_test.json", ""),
        ("retraining.json", ""),
        ("constraints.json", ""),
        ("train", "train"),
        ("Validation", "val"),
        ("", ""),
    ],
)
def test_a_split_is_a_word_of_its_own(name, split):
    assert split_in_name(name) == split


def test_one_split_alone_is_not_a_split():
    assert annotated_split({"a": "train.json", "b": "train.json", "c": ""}) is None


def test_train_and_another_are_a_split():
    split = annotated_split({"a": "train", "b": "val", "c": ""})
    assert split is not None
    assert split.split_of == {"a": "train", "b": "val"}
