"""Boxes in pixels and in the unit square."""

import math
from collections.abc import Iterable
from typing import NamedTuple


class Box(NamedTuple):
    """Pixels, origin top left, as the annotation tool wrote it; floats, since not every tool writes integers."""

    xmin: float
    ymin: float
    xmax: float
    ymax: float

    @property
    def width(self) -> float:
        return self.xmax - self.xmin

    @property
    def height(self) -> float:
        return self.ymax - self.ymin

    @property
    def is_empty(self) -> bool:
        return not (self.width > 0 and self.height > 0)  # NaN compares false: a box of NaN is empty too


class ImageSize(NamedTuple):
    """Pixels of the stored image, after EXIF rotation."""

    width: int
    height: int


def overhang(box: Box, size: ImageSize) -> float:
    """Return by how many pixels the box leaves the image at its worst side; 0 when it is inside."""
    return max(-box.xmin, -box.ymin, box.xmax - size.width, box.ymax - size.height, 0.0)


def clip(box: Box, size: ImageSize) -> Box:
    """Cut the box to the image; the result is empty when they do not overlap."""
    return Box(
        min(max(0.0, box.xmin), float(size.width)),
        min(max(0.0, box.ymin), float(size.height)),
        min(max(0.0, box.xmax), float(size.width)),
        min(max(0.0, box.ymax), float(size.height)),
    )


def normalize(box: Box, size: ImageSize) -> tuple[float, float, float, float]:
    """Scale a pixel box to the unit square.

    Returns:
      (ymin, xmin, ymax, xmax), each in [0, 1] for a box inside its image: the order of `image/object/bbox/*`.

    Source: tf-models-official, `official/vision/data/tf_example_feature_key.py`, `BoxFeatureKey`.
    """
    return box.ymin / size.height, box.xmin / size.width, box.ymax / size.height, box.xmax / size.width


def denormalize(ymin: float, xmin: float, ymax: float, xmax: float, size: ImageSize) -> Box:
    """Scale (ymin, xmin, ymax, xmax) of the unit square back to pixels; the inverse of `normalize`."""
    return Box(xmin * size.width, ymin * size.height, xmax * size.width, ymax * size.height)


def bounds(points: Iterable[tuple[float, float]]) -> Box:
    """Return the smallest box around points (x, y), of which there is at least one; NaN among them makes it NaN."""
    xs, ys = zip(*points, strict=True)
    if any(map(math.isnan, (*xs, *ys))):
        return Box(math.nan, math.nan, math.nan, math.nan)
    return Box(min(xs), min(ys), max(xs), max(ys))


def turned_bounds(x: float, y: float, width: float, height: float, angle: float) -> Box:
    """Return the smallest box around one that is turned about its centre (x, y).

    Args:
      angle: Radians; the bounds are the same for both directions.
    """
    cosine, sine = abs(math.cos(angle)), abs(math.sin(angle))
    half_width, half_height = (width * cosine + height * sine) / 2, (width * sine + height * cosine) / 2
    return Box(x - half_width, y - half_height, x + half_width, y + half_height)


def iou(a: Box, b: Box) -> float:
    """Return intersection over union, in [0, 1]; 0 when both are empty."""
    width = min(a.xmax, b.xmax) - max(a.xmin, b.xmin)
    height = min(a.ymax, b.ymax) - max(a.ymin, b.ymin)
    if width <= 0 or height <= 0:
        return 0.0
    intersection = width * height
    return intersection / (a.width * a.height + b.width * b.height - intersection)
