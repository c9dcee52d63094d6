"""Copies of records of rare classes in a local shard."""

import os
import struct

import pytest

from slipway.dataset.annotations import AnnotatedImage, LabeledBox
from slipway.dataset.boxes import Box, ImageSize

from services.trainer.repeated_records import repeat_records


def image(*labels):
    boxes = tuple(LabeledBox(label, Box(0, 0, 9, 9)) for label in labels)
    return AnnotatedImage("a.png", 1, "0", "png", ImageSize(64, 48), boxes)


def framed(text):
    return struct.pack("<Q", len(text)) + b"crc1" + text + b"crc2"


@pytest.fixture
def shard(tmp_path):
    path = tmp_path / "train-00000-of-00001.tfrecord"
    path.write_bytes(b"".join(map(framed, (b"one", b"", b"three"))))
    return path


def test_copies_follow_the_records_and_the_rarest_label_of_an_image_counts(shard):
    images = [image("duck"), image(), image("duck", "heron", "pike")]
    assert repeat_records(shard, images, {"heron": 3.0, "pike": 2.0}) == 2
    assert shard.read_bytes() == b"".join(map(framed, (b"one", b"", b"three", b"three", b"three")))


def test_parts_of_a_copy_add_up(shard):
    assert repeat_records(shard, [image("heron")] * 3, {"heron": 1.5}) == 1
    assert shard.read_bytes() == b"".join(map(framed, (b"one", b"", b"three", b"")))


def test_file_that_is_linked_to_the_stores_stays_as_it_is(shard, tmp_path):
    os.link(shard, tmp_path / "stored")
    repeat_records(shard, [image("heron")] * 3, {"heron": 2.0})
    assert (tmp_path / "stored").read_bytes() == b"".join(map(framed, (b"one", b"", b"three")))
    assert [path.name for path in tmp_path.glob("train-*.tfrecord")] == [shard.name]
