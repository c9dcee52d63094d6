"""The boxes of a stored dataset's train split, from which the plan is made."""

import random
from collections import Counter
from collections.abc import Iterator

from slipway.artifacts.dataset import DatasetManifest
from slipway.dataset import annotations
from slipway.dataset.annotations import AnnotatedImage
from slipway.run.from_data.anchor_coverage import TrainBox, TrainBoxes
from slipway.store.interface import ObjectStore

_MOST_BOXES = 1000  # the share of boxes with some property is then known to about half a percent


def read_train_boxes(store: ObjectStore, manifest: DatasetManifest) -> TrainBoxes:
    """Read the train split's annotations, one shard at a time, and return a sample of its boxes and their counts.

    Every box has the same chance (reservoir sampling, Vitter 1985), and a dataset always gives the same sample.
    """
    chance = random.Random(0)  # noqa: S311  # nothing is to be kept secret
    sample: list[TrainBox] = []
    count, most, images_per_label = 0, 0, Counter[str]()
    for key in manifest.annotation_keys("train"):
        for image in annotations.parse(store.read(key), key):
            most = max(most, len(image.boxes))
            images_per_label.update({labeled_box.label for labeled_box in image.boxes})
            for box in _boxes(image):
                place = count if count < _MOST_BOXES else chance.randrange(count + 1)
                sample[place : place + 1] = [box] if place < _MOST_BOXES else []
                count += 1
    return TrainBoxes(sample, count, images_per_label, max(most, _most_outside_train(store, manifest)))


def _most_outside_train(store: ObjectStore, manifest: DatasetManifest) -> int:
    """Return the number of boxes of the fullest image that is only measured; it needs as many detections."""
    shards = [key for split in manifest.splits if split != "train" for key in manifest.annotation_keys(split)]
    return max((len(image.boxes) for key in shards for image in annotations.parse(store.read(key), key)), default=0)


def _boxes(image: AnnotatedImage) -> Iterator[TrainBox]:
    width, height = image.size
    for labeled_box in image.boxes:
        box = labeled_box.box
        x, y = (box.xmin + box.xmax) / 2 / width, (box.ymin + box.ymax) / 2 / height
        yield TrainBox(x, y, box.width / width, box.height / height, width / height)
