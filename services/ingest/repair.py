"""Image bytes → what Model Garden decodes rightly: JPEG or PNG, whole, and upright."""

import io
import struct
from dataclasses import dataclass
from typing import Literal

from PIL import Image, ImageOps, UnidentifiedImageError

from slipway.boxes import Box, ImageSize
from slipway.errors import AnnotationError

# Decoders of these only: Pillow knows others that start programs.
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP")
_KEPT: dict[str, Literal["jpeg", "png"]] = {
    "JPEG": "jpeg",
    "MPO": "jpeg",
    "PNG": "png",
}  # MPO: what phones write as JPEG, several pictures in one
_MOST_PIXELS = 100_000_000  # decoded, 300 MB: what a worker's memory still bears
_ORIENTATION = 0x0112
_JPEG_END = b"\xff\xd9"
_JPEG_QUALITY = 95

_BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, Image.DecompressionBombError)


@dataclass(frozen=True, slots=True)
class Picture:
    """An image as it will be stored.

    Attributes:
      content: The file's own bytes, unless it had to be written anew.
      size: Upright.
      raw_size: Before the EXIF orientation was applied.
      orientation: EXIF's, 1 to 8; 1 is upright.
      was: The file's own format in Pillow's words; "" where the bytes are the file's own.
    """

    content: bytes
    format: Literal["jpeg", "png"]
    size: ImageSize
    raw_size: ImageSize
    orientation: int
    was: str = ""


class BrokenImage(AnnotationError):
    """The image cannot be decoded; `code` is the finding's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def read_picture(content: bytes) -> Picture:
    """Check an image file and, where Model Garden would crash on it or see it turned, write it anew.

    Raises:
      BrokenImage: It is empty, no image, cut off, or has more pixels than a worker's memory bears.
    """
    if not content:
        raise BrokenImage("image_unreadable", "is empty: 0 bytes")
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            raw = ImageSize(*image.size)
            if raw.width * raw.height > _MOST_PIXELS:
                text = f"is {raw.width} × {raw.height} pixels, at most {_MOST_PIXELS:,} are read"
                raise BrokenImage("image_too_large", text)
            kind = str(image.format)
            orientation = _orientation(image)
            _check_whole(image, content)
        if kind in _KEPT and orientation == 1:
            return Picture(content, _KEPT[kind], raw, raw, orientation)
        return _rewritten(content, raw, orientation)
    except BrokenImage:
        raise
    except UnidentifiedImageError as error:
        raise BrokenImage(
            "image_unreadable", f"is no image that can be read; it begins with {content[:16]!r}"
        ) from error
    except Image.DecompressionBombError as error:
        raise BrokenImage("image_too_large", f"has more pixels than can be read: {error}") from error
    except _BROKEN as error:
        raise BrokenImage("image_truncated", f"is damaged or cut off: {error}") from error


def _orientation(image: Image.Image) -> int:
    """Return EXIF's orientation of a photo; the few PNGs that have one are shown unturned by most programs."""
    orientation = image.getexif().get(_ORIENTATION, 1) if _KEPT.get(str(image.format)) == "jpeg" else 1
    return int(orientation) if orientation in range(2, 9) else 1


def _check_whole(image: Image.Image, content: bytes) -> None:
    """Look for a cut-off file without decoding it, which would take most of the time that a dataset takes."""
    if image.format == "PNG":
        image.verify()
    elif image.format in _KEPT and not content.rstrip(b"\0\r\n ").endswith(_JPEG_END):
        with Image.open(io.BytesIO(content), formats=_FORMATS) as again:
            again.load()  # bytes behind the end are harmless, and only decoding tells them from a missing end


def _rewritten(content: bytes, raw: ImageSize, orientation: int) -> Picture:
    with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
        was, out = str(image.format), io.BytesIO()
        if was in _KEPT:
            upright = ImageOps.exif_transpose(image)
            upright.save(out, "JPEG", quality=_JPEG_QUALITY)
        else:
            upright = _eight_bit(image)
            upright.save(out, "PNG")
    return Picture(out.getvalue(), _KEPT.get(was, "png"), ImageSize(*upright.size), raw, orientation, was)


def _eight_bit(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        return image.convert("I").point(lambda value: value / 256).convert("L")
    return image if image.mode in ("RGB", "L") else image.convert("RGB")


def upright_box(box: Box, raw: ImageSize, orientation: int) -> Box:
    """Turn a box that was drawn on the raw picture as EXIF turns the picture.

    Args:
      raw: (width, height) before turning.
      orientation: EXIF's, 1 to 8.

    Source: Exif 2.3, tag 0x0112.
    """
    points = [_upright(x, y, raw, orientation) for x, y in ((box.xmin, box.ymin), (box.xmax, box.ymax))]
    xs, ys = zip(*points, strict=True)
    return Box(min(xs), min(ys), max(xs), max(ys))


def _upright(x: float, y: float, raw: ImageSize, orientation: int) -> tuple[float, float]:
    right, below = raw.width - x, raw.height - y
    turned = {
        2: (right, y),
        3: (right, below),
        4: (x, below),
        5: (y, x),
        6: (below, x),
        7: (below, right),
        8: (y, right),
    }
    return turned.get(orientation, (x, y))
