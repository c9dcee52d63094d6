"""The boxes of a train split, read back from the store."""

import pytest

from slipway import keys
from slipway.artifacts.dataset import DatasetManifest, ManifestSplit
from slipway.dataset import annotations
from slipway.dataset.annotations import AnnotatedImage, LabeledBox
from slipway.dataset.boxes import Box, ImageSize
from slipway.run.from_data.anchor_coverage import TrainBox
from slipway.store.folder import FolderStore

from services.ingest.train_boxes import read_train_boxes


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path)


def write(store, *shards):
    """Write a train split of images of 200×100 pixels, each of them the list of its boxes, and return the manifest."""
    split = ManifestSplit(images=sum(map(len, shards)), boxes=0, shards=len(shards))
    splits = {"train": split, "test": split}
    manifest = DatasetManifest(name="a", sha256="0" * 64, labels=("b",), splits=splits, median_size=(200, 100))
    measured_image = AnnotatedImage("t", 1, "0", "png", ImageSize(200, 100), (LabeledBox("b", Box(0, 0, 5, 5)),) * 3)
    for number, images in enumerate(shards):
        measured = annotations.dump([measured_image])
        store.write(keys.annotations(manifest.folder, "test", number, len(shards)), measured)
        lines = [
            AnnotatedImage("a", 1, "0", "png", ImageSize(200, 100), tuple(LabeledBox("b", Box(*box)) for box in boxes))
            for boxes in images
        ]
        store.write(keys.annotations(manifest.folder, "train", number, len(shards)), annotations.dump(lines))
    return manifest


def test_boxes_are_fractions_of_their_image(store):
    boxes = read_train_boxes(store, write(store, [[(20, 10, 60, 90)]]))
    assert (boxes.sample, boxes.count) == ([TrainBox(0.2, 0.5, 0.2, 0.8, 2.0)], 1)


def test_boxes_of_every_shard_are_read_and_images_may_have_none(store):
    boxes = read_train_boxes(store, write(store, [[(0, 0, 10, 10)], []], [[(0, 0, 20, 10), (0, 0, 30, 10)]]))
    assert [box.width for box in boxes.sample] == [0.05, 0.1, 0.15]


def test_a_thousand_boxes_stand_for_many_and_are_the_same_each_time(store):
    shards = [[[(0, 0, width, 10)] * 20 for width in range(1, 101)] for _ in range(3)]
    manifest = write(store, *shards)
    boxes = read_train_boxes(store, manifest)
    assert (len(boxes.sample), boxes.count) == (1000, 6000)
    assert 0.24 < sum(box.width for box in boxes.sample) / 1000 < 0.265  # 0.2525 of all
    assert read_train_boxes(store, manifest) == boxes


def test_image_with_several_boxes_of_a_label_counts_once(store):
    manifest = write(store, [[(0, 0, 10, 10), (0, 0, 20, 10)]], [[(0, 0, 20, 10)], []])
    assert read_train_boxes(store, manifest).images_per_label == {"b": 2}


def test_split_without_boxes_gives_none(store):
    assert read_train_boxes(store, write(store, [[], []])).count == 0


def test_fullest_image_of_any_split_is_counted(store):
    assert read_train_boxes(store, write(store, [[(0, 0, 10, 10)] * 2])).most_per_image == 3
    assert read_train_boxes(store, write(store, [[(0, 0, 10, 10)] * 150])).most_per_image == 150
