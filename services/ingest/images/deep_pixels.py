"""Pixels of more than eight bits, reduced to eight by the bits that the picture uses.

Cameras and scanners store 10, 12 or 14 bits in 16. The upper eight of 16 bits, which TensorFlow takes, are then almost
black.
"""

import math

from PIL import Image

from services.ingest.images import BrokenImage, Note

_DEPTHS = (8, 10, 12, 14, 16, 24, 32)
_TIFF_BITS = 258


def tiff_bits(image: Image.Image) -> int:
    """Return the bits a channel of a TIFF; 8 of any other format."""
    tags = getattr(image, "tag_v2", None) if image.format == "TIFF" else None
    return max(tags.get(_TIFF_BITS, (8,))) if tags else 8


def used_bits(image: Image.Image) -> int:
    """Return the smallest usual depth that holds the picture's largest value; `image` is loaded and grey."""
    _, high = image.getextrema()
    return next((depth for depth in _DEPTHS if float(high) < 2**depth), _DEPTHS[-1])  # type: ignore[arg-type]


def check_channels(image: Image.Image) -> None:
    """Refuse a picture of 16 bits in each of several channels of which only the lower 14 or fewer are used.

    Args:
      image: As Pillow reads it: the upper eight bits of each channel.
    """
    highest = max(high for _, high in image.getextrema()[:3])  # type: ignore[misc]
    if highest < 64:
        message = "has 16 bits a channel, but uses at most 14 of them, and would become almost black"
        raise BrokenImage("deep_pixels", message)


def reduce_to_eight_bits(image: Image.Image) -> tuple[Image.Image, Note | None]:
    """Return a grey picture of 8 bits, and a note unless the upper eight of 16 bits were taken.

    Raises:
      BrokenImage: A pixel is NaN or infinite.
    """
    low, high = (float(value) for value in image.getextrema())  # type: ignore[arg-type]
    if math.isnan(low) or math.isnan(high) or math.isinf(low) or math.isinf(high):
        raise BrokenImage("deep_pixels", "has pixels that are not numbers")
    if image.mode == "F" or low < 0:
        scale = 255 / (high - low or 1.0)
        grey = image.convert("F").point(lambda value: value * scale - low * scale)
        return grey.convert("L"), _note(f"has pixels from {low:g} to {high:g}")
    bits = used_bits(image)
    stored_bits = 16 if image.mode.startswith("I;16") else 32
    grey = image.convert("I").point(lambda value: value * (1 / 2 ** (bits - 8))).convert("L")
    return grey, None if bits == 16 else _note(f"has {stored_bits} bits a pixel, but uses {bits}")


def _note(message: str) -> Note:
    return "deep_pixels", "info", message, "scaled to 8 bits"
