"""Pictures of a few images of a split: annotated boxes on the left, detections on the right."""

import io
import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from slipway.artifacts.operating_point import ScoreThresholds
from slipway.dataset.labels import LabelMap
from slipway.report.box_drawing import Mark, draw, resize

from services.evaluator.coco import Detection, GroundTruth, TrueBox

_MAX_IMAGES = 3
_SIDE = 320  # pixels: half of TensorBoard's width, and small enough to be written often


@dataclass(frozen=True)
class Picture:
    """One image of the split.

    Attributes:
      image: RGB, in the size that is shown.
      scale: Pixels of `image` for each pixel of the stored image.
      truth: The image with its annotated boxes.
    """

    source_id: int
    image: Image.Image
    scale: float
    truth: Image.Image


@dataclass(frozen=True)
class Album:
    """The pictures that are drawn for every checkpoint."""

    pictures: Sequence[Picture]
    labels: LabelMap

    def draw(self, detections: Iterable[Detection], thresholds: ScoreThresholds) -> list[Image.Image]:
        """Return each picture with annotated boxes on the left and the detections that count on the right."""
        by_image: dict[int, list[Detection]] = {picture.source_id: [] for picture in self.pictures}
        for detection in detections:
            threshold = thresholds.of(self.labels.name(detection.class_id))
            if detection.image_id in by_image and detection.score >= threshold:
                by_image[detection.image_id].append(detection)
        return [_two_halves(picture, self._marks(picture, by_image[picture.source_id])) for picture in self.pictures]

    def _marks(self, picture: Picture, detections: Iterable[Detection]) -> list[Mark]:
        best_first = sorted(detections, key=lambda detection: -detection.score)
        return [
            Mark(d.box, d.class_id, f"{self.labels.name(d.class_id)} {d.score:.0%}").scaled(picture.scale)
            for d in best_first
        ]


def make_album(records: str, truth: GroundTruth) -> Album:
    """Choose the first images of a split that have boxes.

    Args:
      records: Pattern of the local TFRecord files.
      truth: The annotations of the split.
    """
    boxes: dict[int, list[TrueBox]] = defaultdict(list)
    for box in truth.boxes:
        boxes[box.image_id].append(box)
    with_boxes = ((source_id, content) for source_id, content in _images(records) if source_id in boxes)
    pictures = [
        _picture(source_id, content, boxes[source_id], truth.labels)
        for source_id, content in itertools.islice(with_boxes, _MAX_IMAGES)
    ]
    return Album(pictures, truth.labels)


def _images(records: str) -> Iterator[tuple[int, bytes]]:
    """Yield the source id and the stored bytes of each image."""
    import tensorflow as tf

    files = sorted(str(path) for path in Path(records).parent.glob(Path(records).name))
    for record in tf.data.TFRecordDataset(files):
        feature = tf.train.Example.FromString(record.numpy()).features.feature
        yield int(feature["image/source_id"].bytes_list.value[0]), feature["image/encoded"].bytes_list.value[0]


def _picture(source_id: int, content: bytes, boxes: Iterable[TrueBox], labels: LabelMap) -> Picture:
    with Image.open(io.BytesIO(content)) as file:
        stored_image = file.convert("RGB")
    scale = _SIDE / max(stored_image.size)
    image = resize(stored_image, scale)
    marks = [Mark(box.box, box.class_id, labels.name(box.class_id)).scaled(scale) for box in boxes]
    return Picture(source_id, image, scale, draw(image, marks))


def _two_halves(picture: Picture, marks: Sequence[Mark]) -> Image.Image:
    width, height = picture.image.size
    canvas = Image.new("RGB", (2 * width, height))
    canvas.paste(picture.truth, (0, 0))
    canvas.paste(draw(picture.image, marks), (width, 0))
    return canvas
