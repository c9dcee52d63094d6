"""The share of a dataset's boxes that RetinaNet's anchors cover at an input size.

Model Garden's labeler takes an anchor for an object when their IoU is at least 0.5. An anchor has a size, a shape and a
place on the grid of its level, so a box can be missed for each of the three: a box of 12 pixels between the centres of
a grid of 16 has no anchor of IoU 0.5, whatever its shape. Boxes are therefore compared where they lie. They are
compared as the model sees them in evaluation, and once more enlarged, reduced and cropped as in training.

In plain Python, since the plan is also made where there is no NumPy.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from slipway.models import ArtifactModel

LEVELS = range(2, 9)  # of a feature pyramid; level n has a cell for each 2ⁿ pixels
_SCALE_STEP, _X_STEP, _Y_STEP = 0.6180339887, 0.7548776662, 0.5698402910  # fractions that fill [0, 1] evenly
_LEAST_VISIBLE = 0.5  # of a box's area; no detector finds an object from less


class Anchors(ArtifactModel):
    """The anchors of RetinaNet: on each level, each combination of scale and aspect ratio in each cell.

    Attributes:
      min_level: The finest level; its cells are 2^min_level pixels wide.
      max_level: The coarsest level; the input's side is a multiple of its cells.
      anchor_size: Side of a square anchor of the first scale, in cells.
      num_scales: Sizes from one level to the next, in equal ratios.
      aspect_ratios: Width divided by height.

    Source: tf-models-official, `official/vision/ops/anchor.py`, `Anchor`.
    """

    min_level: int
    max_level: int
    anchor_size: float
    num_scales: int
    aspect_ratios: tuple[float, ...]

    @property
    def per_cell(self) -> int:
        return self.num_scales * len(self.aspect_ratios)

    @property
    def shapes(self) -> Iterator["Shape"]:
        """Each anchor of one cell of each level."""
        for level in range(self.min_level, self.max_level + 1):
            for scale in range(self.num_scales):
                side: float = self.anchor_size * 2 ** (level + scale / self.num_scales)
                for ratio in self.aspect_ratios:
                    yield Shape(side * side, level, side * ratio**0.5, side / ratio**0.5)


class Shape(NamedTuple):
    """An anchor's area in square pixels, its level, and its width and height in pixels."""

    area: float
    level: int
    width: float
    height: float


class TrainBox(NamedTuple):
    """A box of a training image: its centre and its size as fractions of the image.

    Attributes:
      aspect: Width of the image divided by its height.
    """

    x: float
    y: float
    width: float
    height: float
    aspect: float


@dataclass(frozen=True)
class TrainBoxes:
    """The boxes of a train split.

    Attributes:
      sample: All boxes, or as many as the plan needs, evenly from all images.
      count: Number of all boxes.
      images_per_label: Label to the number of images that have a box of it.
      most_per_image: Number of boxes of the image that has the most, of all splits; 0 if it is unknown.
    """

    sample: Sequence[TrainBox] = ()
    count: int = 0
    images_per_label: Mapping[str, int] = field(default_factory=dict)
    most_per_image: int = 0


@dataclass(frozen=True)
class ModelInput:
    """How an image is brought to the model's input.

    Attributes:
      size: Side of the square input, pixels.
      keep_aspect_ratio: The image keeps its shape and leaves a margin; otherwise it is stretched to the square.
      scale: Range of the random scale of training.
    """

    size: int
    keep_aspect_ratio: bool = False
    scale: tuple[float, float] = (1.0, 1.0)


class PlacedBox(NamedTuple):
    """A box in the pixels of the input.

    Attributes:
      offsets: Level to the distances, in x and y, from the nearest centre of a cell.
    """

    area: float
    width: float
    height: float
    offsets: Mapping[int, tuple[float, float]]


def evaluated_boxes(boxes: Sequence[TrainBox], view: ModelInput) -> list[PlacedBox]:
    """Place boxes on the input as evaluation does."""
    return [placed for box in boxes if (placed := _place(box, view, 1.0, (0.0, 0.0)))]


def augmented_boxes(boxes: Sequence[TrainBox], view: ModelInput) -> list[PlacedBox]:
    """Place each box once as training may do: at one scale of the range, in one crop; none that is cropped by half.

    Source: tf-models-official, `official/vision/ops/preprocess_ops.py`, `resize_and_crop_image`.
    """
    low, high = view.scale
    placed_boxes = []
    for number, box in enumerate(boxes, start=1):
        scale = low + (high - low) * (number * _SCALE_STEP % 1)
        placed_boxes.append(_place(box, view, scale, (number * _X_STEP % 1, number * _Y_STEP % 1)))
    return [box for box in placed_boxes if box]


def input_size(box: TrainBox, view: ModelInput) -> tuple[float, float]:
    """Return a box's width and height on the input, pixels."""
    width, height = _image_extent(box, view)
    return box.width * width, box.height * height


def _image_extent(box: TrainBox, view: ModelInput) -> tuple[float, float]:
    """Return width and height of the box's image on the input, pixels."""
    if not view.keep_aspect_ratio:
        return view.size, view.size
    return view.size * min(1.0, box.aspect), view.size * min(1.0, 1 / box.aspect)


def _place(box: TrainBox, view: ModelInput, scale: float, crop: tuple[float, float]) -> PlacedBox | None:
    """Place a box on the scaled and cropped input; None when too little of it is visible.

    Args:
      crop: Place of the crop between the image's left and right, and top and bottom, each in [0, 1].
    """
    sides, centres = [], []
    extents = (scale * extent for extent in _image_extent(box, view))
    for centre, side, extent, place in zip((box.x, box.y), (box.width, box.height), extents, crop, strict=True):
        offset = max(0.0, extent - view.size) * place
        low = max(0.0, (centre - side / 2) * extent - offset)
        high = min(float(view.size), (centre + side / 2) * extent - offset)
        if high <= low or (high - low) < _LEAST_VISIBLE * side * extent:
            return None
        sides.append(high - low)
        centres.append((low + high) / 2)
    width, height = sides
    x, y = ({level: _offset(centre, 1 << level, view.size) for level in LEVELS} for centre in centres)
    return PlacedBox(width * height, width, height, {level: (x[level], y[level]) for level in LEVELS})


def _offset(centre: float, stride: int, size: int) -> float:
    """Return the distance to the nearest centre of a cell; the last cell ends within the input."""
    cell = min(int(centre // stride), max(0, -(-size // stride) - 1))
    return abs(centre - (cell + 0.5) * stride)


def coverage(anchors: Anchors, boxes: Sequence[PlacedBox], least: float = 0.0) -> float:
    """Return the share of boxes that have an anchor of IoU 0.5, in [0, 1].

    Args:
      least: Stop counting, and return 0, as soon as the share cannot reach this.
    """
    shapes = sorted(anchors.shapes)
    areas = [shape.area for shape in shapes]
    misses, most_misses = 0, (1 - least) * len(boxes)
    for box in boxes:
        first, last = bisect_left(areas, box.area / 2), bisect_right(areas, box.area * 2)  # others have a lower IoU
        if not any(_is_match(box, shape) for shape in shapes[first:last]):
            misses += 1
            if misses > most_misses:
                return 0.0
    return 1 - misses / len(boxes)


def _is_match(box: PlacedBox, shape: Shape) -> bool:
    """Return whether the IoU with the nearest anchor of this shape is at least 0.5.

    That is so when the intersection is a third of both areas' sum.
    """
    _, level, width, height = shape
    x, y = box.offsets[level]
    overlap_x = min(box.width, width, (box.width + width) / 2 - x)
    overlap_y = min(box.height, height, (box.height + height) / 2 - y)
    return overlap_x > 0 and overlap_y > 0 and 3 * overlap_x * overlap_y >= box.area + shape.area
