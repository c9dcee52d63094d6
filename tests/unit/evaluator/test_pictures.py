"""Pictures that are drawn for a checkpoint."""

import io

import numpy as np
import pytest
from PIL import Image

from slipway.artifacts.operating_point import ScoreThresholds
from slipway.dataset.boxes import Box, ImageSize
from slipway.dataset.labels import LabelMap
from slipway.report.box_drawing import colour

from services.evaluator.coco import Detection, GroundTruth, TrueBox
from services.evaluator.pictures import make_album

SIZE = (640, 480)
GREY = (90, 90, 90)


@pytest.fixture
def records(tmp_path):
    """Five grey images, 1 to 5."""
    tf = pytest.importorskip("tensorflow")
    file = io.BytesIO()
    Image.new("RGB", SIZE, GREY).save(file, "PNG")
    with tf.io.TFRecordWriter(str(tmp_path / "test-00000-of-00001.tfrecord")) as writer:
        for source_id in range(1, 6):
            features = {"image/source_id": str(source_id).encode(), "image/encoded": file.getvalue()}
            lists = {n: tf.train.Feature(bytes_list=tf.train.BytesList(value=[v])) for n, v in features.items()}
            writer.write(tf.train.Example(features=tf.train.Features(feature=lists)).SerializeToString())
    return str(tmp_path / "test-*.tfrecord")


@pytest.fixture
def album(records):
    boxes = [TrueBox(source_id, 1, Box(100, 100, 300, 300)) for source_id in (2, 3, 4, 5)]
    sizes = {source_id: ImageSize(*SIZE) for source_id in range(1, 6)}
    return make_album(records, GroundTruth(LabelMap(("heron", "duck")), sizes, boxes))


def has_line(picture, side, class_id, point):
    """Check whether there is a line of the class's colour around x, y of the half."""
    x, y = point
    pixels = np.asarray(picture).astype(int)
    half = pixels[:, :320] if side == "left" else pixels[:, 320:]
    neighbours = half[y - 2 : y + 3, x - 2 : x + 3].reshape(-1, 3)
    return bool((neighbours == np.array(colour(class_id))).all(axis=1).any())


@pytest.mark.slow
def test_first_images_with_boxes_are_taken(album):
    assert [picture.source_id for picture in album.pictures] == [2, 3, 4]


@pytest.mark.slow
def test_annotations_are_left_and_detections_are_right(album):
    detections = [Detection(2, 2, Box(300, 200, 400, 300), 0.9), Detection(2, 1, Box(20, 300, 80, 360), 0.4)]
    first, second, _ = album.draw(detections, ScoreThresholds(0.95, {"heron": 0.5, "duck": 0.8}))
    assert first.size == (640, 240)
    assert has_line(first, "left", 1, (50, 100))
    assert not has_line(first, "left", 2, (200, 125))
    assert has_line(first, "right", 2, (200, 125))
    assert not has_line(first, "right", 1, (50, 100))
    assert not has_line(first, "right", 1, (10, 165))  # its score is too low
    assert not has_line(second, "right", 2, (200, 125))
