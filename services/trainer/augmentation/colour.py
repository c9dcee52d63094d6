"""Colour jitter: random brightness, contrast, saturation and hue."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf

# The widest changes, at strength 1: those of SSD as it was trained. Liu et al. 2016, https://arxiv.org/abs/1512.02325
_BRIGHTNESS = 32.0  # of 255
_CONTRAST = 0.5  # factor from 0.5 to 1.5
_SATURATION = 0.5
_HUE = 18.0  # degrees

_LUMA = (0.299, 0.587, 0.114)  # share of red, green and blue in the brightness that people see; Rec. 601


def jitter_colours(image: "tf.Tensor", strength: float, seed: "tf.Tensor") -> "tf.Tensor":
    """Change brightness, contrast, saturation and hue at random, each by as much as the strength allows.

    Each of them is linear in red, green and blue: one matrix does all four in one pass over the pixels.

    Args:
      image: uint8 [height, width, 3].
      strength: 0 changes nothing, 1 as much as SSD did.
      seed: int64 [2]; the same seed changes every image in the same way.

    Returns:
      uint8 [height, width, 3].
    """
    import tensorflow as tf

    shares = tf.random.stateless_uniform([4], seed, -strength, strength)
    brightness, contrast, saturation, hue = tf.unstack(shares * [_BRIGHTNESS, _CONTRAST, _SATURATION, _HUE])
    matrix = (1 + contrast) * (_saturation_matrix(saturation) @ _hue_matrix(hue))
    offset = brightness - 127.5 * contrast  # contrast leaves medium grey as it is
    pixels = tf.reshape(tf.cast(image, tf.float32), [-1, 3])
    changed_pixels = tf.matmul(pixels, matrix, transpose_b=True) + (offset + 0.5)  # a cast rounds down
    return tf.ensure_shape(tf.reshape(tf.saturate_cast(changed_pixels, tf.uint8), tf.shape(image)), image.shape)


def _saturation_matrix(change: "tf.Tensor") -> "tf.Tensor":
    """Return the matrix that moves each colour away from the grey of its brightness, or towards it if negative."""
    import tensorflow as tf

    return (1 + change) * tf.eye(3) - change * tf.tile([_LUMA], [3, 1])


def _hue_matrix(degrees: "tf.Tensor") -> "tf.Tensor":
    """Return the rotation around the grey axis, by Rodrigues' formula."""
    import math

    import tensorflow as tf

    angle = degrees * (math.pi / 180)
    cross = tf.constant([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / math.sqrt(3)
    return tf.cos(angle) * tf.eye(3) + (1 - tf.cos(angle)) / 3 + tf.sin(angle) * cross
