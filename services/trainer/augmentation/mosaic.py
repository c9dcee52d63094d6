"""Mosaic: four training images in one, with the boxes that can still be seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tensorflow as tf

_CENTRE = (0.3, 0.7)  # where the four images may meet, as shares of the input's side: none becomes a mere strip
_LEAST_VISIBLE = 0.3  # of a box's area; nobody would annotate less of an object
_LEAST_SIDE = 2.0  # pixels of the input

Example = Mapping[str, Any]  # an image with its boxes, as Model Garden's decoder returns it


@dataclass(frozen=True)
class Canvas:
    """The model's input, which a mosaic fills.

    Attributes:
      keeps_aspect_ratio: Images are scaled to fit the input and padded, rather than stretched to it.
    """

    height: int
    width: int
    keeps_aspect_ratio: bool


@dataclass(frozen=True)
class _Tile:
    """The part of the canvas that one image fills: its top left corner and its size, int32 [2] each, pixels."""

    corner: "tf.Tensor"
    size: "tf.Tensor"


def mosaic(examples: Sequence[Example], canvas: Canvas, seed: "tf.Tensor") -> Example:
    """Fill the input with four images that meet at a random point.

    Each image is scaled until it just covers its part of the input, in the proportions in which the model sees it, and
    what is beyond is cut off at random sides. Boxes are cut with it. A box is dropped if less than 30 % of it is left,
    or less than 2 pixels of one of its sides.

    Args:
      examples: Four, of any sizes; the first gives the mosaic its `source_id`.
      seed: int64 [2].

    Returns:
      An example with the same keys and an image of the input's size.
    """
    import tensorflow as tf

    tiles_seed, *part_seeds = tf.unstack(tf.random.split(seed, 5))
    tiles = _tiles(canvas, tiles_seed)
    parts = [
        _part(example, tile, canvas, part_seed)
        for example, tile, part_seed in zip(examples, tiles, part_seeds, strict=True)
    ]
    images = [part.pop("image") for part in parts]
    image = tf.concat([tf.concat(images[:2], axis=1), tf.concat(images[2:], axis=1)], axis=0)
    boxes = {key: tf.concat([part[key] for part in parts], axis=0) for key in parts[0]}
    height, width = (tf.constant(side, tf.int64) for side in (canvas.height, canvas.width))
    return dict(examples[0]) | boxes | {"image": image, "height": height, "width": width}


def _tiles(canvas: Canvas, seed: "tf.Tensor") -> list[_Tile]:
    """Divide the canvas at a random point: top left, top right, bottom left, bottom right."""
    import tensorflow as tf

    shares = tf.random.stateless_uniform([2], seed, *_CENTRE)
    y, x = tf.unstack(tf.cast(tf.round(shares * [canvas.height, canvas.width]), tf.int32))
    return [
        _Tile(tf.stack([top, left]), tf.stack([height, width]))
        for top, height in ((0, y), (y, canvas.height - y))
        for left, width in ((0, x), (x, canvas.width - x))
    ]


def _part(example: Example, tile: _Tile, canvas: Canvas, seed: "tf.Tensor") -> dict[str, Any]:
    """Return one image cut to its tile, uint8 [height, width, 3], and its boxes on the canvas."""
    import tensorflow as tf

    tile_size = tf.cast(tile.size, tf.float32)
    input_size = _input_size(example["image"], canvas)
    scaled_size = input_size * tf.reduce_max(tile_size / input_size)
    offset = tf.random.stateless_uniform([2], seed) * (scaled_size - tile_size)
    image = _resize_region(example["image"], offset / scaled_size, (offset + tile_size) / scaled_size, tile.size)
    boxes = example["groundtruth_boxes"] * tf.tile(scaled_size, [2]) - tf.tile(offset, [2])
    visible_boxes = tf.clip_by_value(boxes, 0.0, tf.tile(tile_size, [2]))
    sides = visible_boxes[:, 2:] - visible_boxes[:, :2]
    areas = tf.reduce_prod(sides, axis=1)
    visible_shares = tf.math.divide_no_nan(areas, tf.reduce_prod(boxes[:, 2:] - boxes[:, :2], axis=1))
    is_visible = (visible_shares >= _LEAST_VISIBLE) & tf.reduce_all(sides >= _LEAST_SIDE, axis=1)
    corner = tf.tile(tf.cast(tile.corner, tf.float32), [2])
    values = {
        "groundtruth_boxes": (visible_boxes + corner) / [canvas.height, canvas.width, canvas.height, canvas.width],
        "groundtruth_area": areas,
        "groundtruth_classes": example["groundtruth_classes"],
        "groundtruth_is_crowd": example["groundtruth_is_crowd"],
    }
    return {"image": image} | {key: tf.boolean_mask(value, is_visible) for key, value in values.items()}


def _input_size(image: "tf.Tensor", canvas: Canvas) -> "tf.Tensor":
    """Return (height, width) of the image in the model's input, float32 pixels: stretched, or scaled to fit."""
    import tensorflow as tf

    canvas_size = tf.constant([canvas.height, canvas.width], tf.float32)
    if not canvas.keeps_aspect_ratio:
        return canvas_size
    size = tf.cast(tf.shape(image)[:2], tf.float32)
    return size * tf.reduce_min(canvas_size / size)


def _resize_region(image: "tf.Tensor", begin: "tf.Tensor", end: "tf.Tensor", size: "tf.Tensor") -> "tf.Tensor":
    """Resize a region of an image, bilinear, without resizing the rest.

    Args:
      image: uint8 [height, width, 3].
      begin: (y, x) of the region's top left corner, as shares of the image's sides; `end` is the opposite corner.
      size: int32 [2].
    """
    import tensorflow as tf

    # `crop_and_resize` takes the centres of the first and the last pixel of the result, and measures them from the
    # centre of the image's first pixel to that of its last one.
    image_size = tf.cast(tf.shape(image)[:2], tf.float32)
    half_pixel = (end - begin) * image_size / tf.cast(size, tf.float32) / 2
    centres = tf.stack([begin * image_size + half_pixel, end * image_size - half_pixel]) - 0.5
    region = tf.clip_by_value(centres / tf.maximum(image_size - 1, 1), 0.0, 1.0)
    pixels = tf.image.crop_and_resize(image[tf.newaxis], tf.reshape(region, [1, 4]), [0], size)[0]
    return tf.saturate_cast(pixels + 0.5, tf.uint8)
