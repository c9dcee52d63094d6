"""A few images of the split, annotated boxes beside detections: how a training gets on, to be looked at."""

import io
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from slipway.dataset.boxes import Box
from slipway.report.box_drawing import Mark, draw, resize

from services.evaluator.coco import Detection

_MOST = 3
_SIDE = 320  # pixels: half of what TensorBoard shows, and small enough to be written often


@dataclass(frozen=True)
class Picture:
    """One image of the split.

    Attributes:
      image: RGB, as small as it is shown.
      scale: Its pixels for one of the stored image.
      truth: It with its annotated boxes.
    """

    source_id: int
    image: Image.Image
    scale: float
    truth: Image.Image


@dataclass(frozen=True)
class Album:
    """The pictures that are drawn of every checkpoint.

    Attributes:
      labels: By class id.
    """

    pictures: Sequence[Picture]
    labels: Mapping[int, str]
    score_threshold: float

    def draw(self, detections: Iterable[Detection]) -> list[Image.Image]:
        """Return each picture twice, annotated boxes on the left and detections on the right."""
        wanted: dict[int, list[Detection]] = {picture.source_id: [] for picture in self.pictures}
        for row in detections:
            if row["image_id"] in wanted and row["score"] >= self.score_threshold:
                wanted[row["image_id"]].append(row)
        return [_beside(picture, self._marks(picture, wanted[picture.source_id])) for picture in self.pictures]

    def _marks(self, picture: Picture, rows: list[Detection]) -> list[Mark]:
        best_first = sorted(rows, key=lambda row: -row["score"])
        return [
            _mark(row, f"{self.labels[row['category_id']]} {row['score']:.0%}", picture.scale) for row in best_first
        ]


def collect(records: str, truth: Mapping[str, Any], score_threshold: float) -> Album:
    """Take the first images of a split that have boxes.

    Args:
      records: Pattern of the local TFRecord files.
      truth: The split as COCO has it.
      score_threshold: Of the detections that are drawn.
    """
    labels = {category["id"]: category["name"] for category in truth["categories"]}
    boxes: dict[int, list[Mapping[str, Any]]] = {}
    for row in truth["annotations"]:
        boxes.setdefault(row["image_id"], []).append(row)
    with_boxes = (image for image in _images(records) if image[0] in boxes)
    first = itertools.islice(with_boxes, _MOST)
    pictures = [_picture(source_id, encoded, boxes[source_id], labels) for source_id, encoded in first]
    return Album(pictures, labels, score_threshold)


def _images(records: str) -> Iterable[tuple[int, bytes]]:
    import tensorflow as tf

    files = sorted(str(path) for path in Path(records).parent.glob(Path(records).name))
    for record in tf.data.TFRecordDataset(files):
        feature = tf.train.Example.FromString(record.numpy()).features.feature
        yield int(feature["image/source_id"].bytes_list.value[0]), feature["image/encoded"].bytes_list.value[0]


def _picture(source_id: int, encoded: bytes, boxes: Sequence[Mapping[str, Any]], labels: Mapping[int, str]) -> Picture:
    with Image.open(io.BytesIO(encoded)) as opened:
        whole = opened.convert("RGB")
    scale = _SIDE / max(whole.size)
    image = resize(whole, scale)
    marks = [_mark(row, labels[row["category_id"]], scale) for row in boxes]
    return Picture(source_id, image, scale, draw(image, marks))


def _mark(row: Mapping[str, Any], text: str, scale: float) -> Mark:
    x, y, width, height = row["bbox"]
    return Mark(Box(x, y, x + width, y + height), row["category_id"], text).scaled(scale)


def _beside(picture: Picture, marks: Sequence[Mark]) -> Image.Image:
    width, height = picture.image.size
    both = Image.new("RGB", (2 * width, height))
    both.paste(picture.truth, (0, 0))
    both.paste(draw(picture.image, marks), (width, 0))
    return both
