"""Image bytes → what Model Garden decodes rightly: JPEG or PNG, whole, and upright."""

import io
import struct
from dataclasses import dataclass
from typing import Literal

from PIL import Image, ImageOps, UnidentifiedImageError

from slipway.dataset.boxes import Box, ImageSize
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
_SIDEWAYS = range(5, 9)  # orientations that exchange width and height
_JPEG_END = b"\xff\xd9"
_JPEG_QUALITY = 95

# What Pillow's decoders raise over damaged bytes: seen, or of the kind that was, in 100,000 files damaged at random.
_BROKEN = (OSError, SyntaxError, ValueError, TypeError, EOFError, ArithmeticError, LookupError, struct.error)


@dataclass(frozen=True, slots=True)
class Picture:
    """An image as it will be stored.

    Attributes:
      content: The file's own bytes, unless it had to be written anew.
      size: Upright.
      raw_size: Before the EXIF orientation was applied.
      orientation: EXIF's, 1 to 8; 1 is upright.
      was: The file's own format in Pillow's words; "" where the bytes are the file's own.
      is_first_of_many: The file holds more pictures, as animations do, and only the first is used.
    """

    content: bytes
    format: Literal["jpeg", "png"]
    size: ImageSize
    raw_size: ImageSize
    orientation: int
    was: str = ""
    is_first_of_many: bool = False


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
        return _read(content)
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


def _read(content: bytes) -> Picture:
    with _opened(content) as image:
        kind, shown = str(image.format), ImageSize(*image.size)
        if shown.width * shown.height > _MOST_PIXELS:
            text = f"is {shown.width} × {shown.height} pixels, at most {_MOST_PIXELS:,} are read"
            raise BrokenImage("image_too_large", text)
        is_first_of_many = kind != "MPO" and getattr(image, "is_animated", False)
        orientation = _orientation(image) if kind != "PNG" else 1
        _check_whole(image, content)
    if kind == "PNG" and b"eXIf" in content:  # Pillow decodes a PNG to find its EXIF, so few are asked
        with _opened(content) as image:
            orientation = _orientation(image)
    if kind in _KEPT and orientation == 1:
        return Picture(content, _KEPT[kind], shown, shown, orientation, "", is_first_of_many)
    # Pillow itself turns TIFF, and gives the size of the turned picture.
    is_turned = kind == "TIFF" and orientation in _SIDEWAYS
    raw = ImageSize(shown.height, shown.width) if is_turned else shown
    return Picture(*_rewritten(content, kind), raw, orientation, kind, is_first_of_many)


def _opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content), formats=_FORMATS)


def _orientation(image: Image.Image) -> int:
    orientation = image.getexif().get(_ORIENTATION, 1)
    return int(orientation) if orientation in range(2, 9) else 1


def _check_whole(image: Image.Image, content: bytes) -> None:
    """Look for a cut-off file without decoding it, which would take most of the time that a dataset takes."""
    if image.format == "PNG":
        image.verify()
    elif image.format in _KEPT and not content.rstrip(b"\0\r\n ").endswith(_JPEG_END):
        with _opened(content) as again:
            again.load()  # bytes behind the end are harmless, and only decoding tells them from a missing end


def _rewritten(content: bytes, kind: str) -> tuple[bytes, Literal["jpeg", "png"], ImageSize]:
    """Write the picture upright, as JPEG where it was one and as PNG otherwise."""
    format = _KEPT.get(kind, "png")
    out = io.BytesIO()
    with _opened(content) as image:
        upright = ImageOps.exif_transpose(image)
    if kind not in _KEPT:
        upright = _eight_bit(upright)
    upright.save(out, format, **({"quality": _JPEG_QUALITY} if format == "jpeg" else {}))
    return out.getvalue(), format, ImageSize(*upright.size)


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
