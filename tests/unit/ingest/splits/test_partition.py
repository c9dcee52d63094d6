"""Splits that have their share of every class, whatever the order of the files."""

import random
from collections import Counter
from itertools import pairwise

import pytest

from slipway.dataset.annotations import AnnotatedImage, LabeledBox
from slipway.dataset.boxes import Box, ImageSize
from slipway.errors import InputError

from services.ingest.splits.partition import partition, take_share


def image(number, *labels, sha=None):
    boxes = tuple(LabeledBox(label, Box(0, 0, 1, 1)) for label in labels)
    return AnnotatedImage(f"{number:04}.jpg", 0, sha or f"sha-{number}", "jpeg", ImageSize(9, 9), boxes)


def images(**counts):
    labels = [label for label, count in counts.items() for _ in range(count)]
    return [image(number, *([] if label == "none" else [label])) for number, label in enumerate(labels)]


def test_same_seed_is_the_same_partition_in_any_order():
    scene = images(ship=80, buoy=20)
    shuffled_scene = random.Random(4).sample(scene, len(scene))
    assert partition(scene, {"test": 0.1}, 7) == partition(shuffled_scene, {"test": 0.1}, 7)


def test_other_seed_is_another_partition():
    scene = images(ship=100)
    assert partition(scene, {"test": 0.1}, 1) != partition(scene, {"test": 0.1}, 2)


def test_each_split_has_its_share_of_each_class_and_of_the_background():
    scene = images(ship=800, buoy=100, none=100)
    splits = partition(scene, {"test": 0.1, "val": 0.2}, 0)
    labels = {i.filename: (i.boxes[0].label if i.boxes else "none") for i in scene}
    counts = Counter((split, labels[name]) for name, split in splits.items())
    assert [counts["test", label] for label in ("ship", "buoy", "none")] == [80, 10, 10]
    assert [counts["val", label] for label in ("ship", "buoy", "none")] == [160, 20, 20]


def test_rare_class_is_in_every_split_when_it_has_enough_images():
    scene = images(ship=100, wreck=2)
    splits = partition(scene, {"test": 0.1}, 0)
    assert {splits["0100.jpg"], splits["0101.jpg"]} == {"train", "test"}


def test_single_image_of_a_class_is_learnt_rather_than_measured():
    scene = images(ship=100, wreck=1)
    assert partition(scene, {"test": 0.1}, 0)["0100.jpg"] == "train"


@pytest.mark.parametrize("seed", range(5))
def test_images_of_equal_bytes_stay_together(seed):
    scene = [image(number, "ship", sha=f"sha-{number // 2}") for number in range(40)]
    splits = partition(scene, {"test": 0.3}, seed)
    assert all(splits[f"{n:04}.jpg"] == splits[f"{n + 1:04}.jpg"] for n in range(0, 40, 2))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("count", [2, 3, 5])
def test_few_images_still_fill_both_splits(count, seed):
    assert set(partition(images(ship=count), {"test": 0.1}, seed).values()) == {"train", "test"}


def test_every_image_is_in_exactly_one_split():
    scene = [image(n, *random.Random(n).choices("abcdef", k=n % 4)) for n in range(500)]
    splits = partition(scene, {"test": 0.15, "val": 0.15}, 3)
    assert len(splits) == 500
    counts = Counter(splits.values())
    assert all(abs(counts[split] / 500 - 0.15) < 0.02 for split in ("test", "val"))


def test_fewer_images_than_splits_is_refused():
    with pytest.raises(InputError, match="1 different image cannot be divided into train, test"):
        partition([image(0, "a", sha="x"), image(1, "a", sha="x")], {"test": 0.5}, 0)


def test_a_share_gives_each_class_the_same_share():
    scene = images(ship=80, buoy=20, none=40)
    names = take_share(scene, 0.25, 0)
    labels = Counter(i.boxes[0].label if i.boxes else "none" for i in scene if i.filename in names)
    assert labels == {"ship": 20, "buoy": 5, "none": 10}


@pytest.mark.parametrize("seed", range(5))
def test_a_larger_share_contains_every_smaller_one(seed):
    scene = [image(n, *random.Random(n).choices(["ship", "buoy", "wreck"], k=n % 4)) for n in range(60)]
    shares = [take_share(scene, share, seed) for share in (0.02, 0.1, 0.25, 0.5, 0.75, 1)]
    assert all(small <= large for small, large in pairwise(shares))
    assert shares[-1] == {i.filename for i in scene}


def test_a_share_has_each_class_at_least_once():
    scene = [*images(ship=100), image(200, "ship", "wreck"), image(201, "buoy", "wreck"), image(202, "wreck")]
    names = take_share(scene, 0.01, 3)
    assert {box.label for i in scene if i.filename in names for box in i.boxes} == {"ship", "wreck", "buoy"}


def test_images_of_equal_bytes_are_in_a_share_together():
    scene = [image(number, "ship", sha=f"sha-{number // 2}") for number in range(40)]
    names = take_share(scene, 0.5, 0)
    assert len(names) == 20
    assert all((f"{n:04}.jpg" in names) == (f"{n + 1:04}.jpg" in names) for n in range(0, 40, 2))


def test_another_seed_is_another_share():
    assert take_share(images(ship=100), 0.25, 1) != take_share(images(ship=100), 0.25, 2)
