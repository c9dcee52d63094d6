"""What is drawn of a checkpoint."""

import io

import numpy as np
import pytest
from PIL import Image

from slipway.report.box_drawing import colour

from services.evaluator.pictures import collect

SIZE = (640, 480)
GREY = (90, 90, 90)


def box(source_id, class_id, *bbox, **more):
    """Give a row of COCO: x, y, width, height in pixels of the stored image."""
    return {"image_id": source_id, "category_id": class_id, "bbox": list(bbox)} | more


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
    truth = {
        "categories": [{"id": 1, "name": "heron"}, {"id": 2, "name": "duck"}],
        "annotations": [box(source_id, 1, 100, 100, 200, 200) for source_id in (2, 3, 4, 5)],
    }
    return collect(records, truth, 0.5)


def has_line(picture, side, class_id, where):
    """Tell whether there is a line of the class's colour around x, y of the half."""
    x, y = where
    shown = np.asarray(picture).astype(int)
    half = shown[:, :320] if side == "left" else shown[:, 320:]
    near = half[y - 2 : y + 3, x - 2 : x + 3].reshape(-1, 3)
    return bool((near == np.array(colour(class_id))).all(axis=1).any())


@pytest.mark.slow
def test_first_images_with_boxes_are_taken(album):
    assert [picture.source_id for picture in album.pictures] == [2, 3, 4]


@pytest.mark.slow
def test_truth_is_left_and_what_was_found_is_right(album):
    found = [box(2, 2, 300, 200, 100, 100, score=0.9), box(2, 1, 20, 300, 60, 60, score=0.4)]
    first, second, _ = album.draw(found)
    assert first.size == (640, 240)
    assert has_line(first, "left", 1, (50, 100))
    assert not has_line(first, "left", 2, (200, 125))
    assert has_line(first, "right", 2, (200, 125))
    assert not has_line(first, "right", 1, (50, 100))
    assert not has_line(first, "right", 1, (10, 165))  # its score is too low
    assert not has_line(second, "right", 2, (200, 125))
