"""The repair of image files: returns bytes that Model Garden decodes correctly, JPEG or PNG, whole and upright."""

import io
import struct
from dataclasses import dataclass
from typing import Literal

from PIL import Image, ImageOps, UnidentifiedImageError

from slipway.dataset.boxes import Box, ImageSize
from slipway.errors import AnnotationError

# Only these decoders are used, since Pillow has others that start programs.
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP")
# Pillow's name of a format that is stored as it is. MPO is what phones write as JPEG: several pictures in one file.
_STORED_FORMATS: dict[str, Literal["jpeg", "png"]] = {"JPEG": "jpeg", "MPO": "jpeg", "PNG": "png"}
_MOST_PIXELS = 100_000_000  # 300 MB when decoded, which still fits into a worker's memory
_ORIENTATION = 0x0112
_SIDEWAYS = range(5, 9)  # orientations that exchange width and height
_JPEG_END = b"\xff\xd9"
_JPEG_QUALITY = 95

# Errors of Pillow's decoders on damaged bytes: those of 100,000 files that were damaged at random, and their kind.
_DECODER_ERRORS = (OSError, SyntaxError, ValueError, TypeError, EOFError, ArithmeticError, LookupError, struct.error)


@dataclass(frozen=True, slots=True)
class Picture:
    """An image as it will be stored.

    Attributes:
      content: The file's own bytes, unless it had to be encoded again.
      size: Upright.
      raw_size: Before the EXIF orientation was applied.
      orientation: EXIF's, 1 to 8; 1 is upright.
      original_format: Pillow's name of the file's format; "" where the bytes are the file's own.
      is_first_of_many: The file holds more pictures, as an animation does, and only the first is used.
    """

    content: bytes
    format: Literal["jpeg", "png"]
    size: ImageSize
    raw_size: ImageSize
    orientation: int
    original_format: str = ""
    is_first_of_many: bool = False


class BrokenImage(AnnotationError):
    """The image cannot be decoded; `code` is the finding's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def read_picture(content: bytes) -> Picture:
    """Check an image file and, where Model Garden would crash on it or see it turned, encode it again.

    Raises:
      BrokenImage: It is empty, not an image, cut off, or has too many pixels for a worker's memory.
    """
    if not content:
        raise BrokenImage("image_unreadable", "is empty: 0 bytes")
    try:
        return _read(content)
    except BrokenImage:
        raise
    except UnidentifiedImageError as error:
        raise BrokenImage(
            "image_unreadable", f"is not an image that can be read; it begins with {content[:16]!r}"
        ) from error
    except Image.DecompressionBombError as error:
        raise BrokenImage("image_too_large", f"has more pixels than can be read: {error}") from error
    except _DECODER_ERRORS as error:
        raise BrokenImage("image_truncated", f"is damaged or cut off: {error}") from error


def _read(content: bytes) -> Picture:
    with _open(content) as image:
        kind, size = str(image.format), ImageSize(*image.size)
        if size.width * size.height > _MOST_PIXELS:
            message = f"is {size.width} × {size.height} pixels, at most {_MOST_PIXELS:,} are read"
            raise BrokenImage("image_too_large", message)
        is_first_of_many = kind != "MPO" and getattr(image, "is_animated", False)
        orientation = _orientation(image) if kind != "PNG" else 1
        _check_whole(image, content)
    if (
        kind == "PNG" and b"eXIf" in content
    ):  # Pillow decodes a PNG to read its EXIF, so it is done only where there is one
        with _open(content) as image:
            orientation = _orientation(image)
    if kind in _STORED_FORMATS and orientation == 1:
        return Picture(content, _STORED_FORMATS[kind], size, size, orientation, "", is_first_of_many)
    # Pillow itself turns TIFF, and gives the size of the turned picture.
    is_turned = kind == "TIFF" and orientation in _SIDEWAYS
    raw_size = ImageSize(size.height, size.width) if is_turned else size
    return Picture(*_encode_upright(content, kind), raw_size, orientation, kind, is_first_of_many)


def _open(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content), formats=_FORMATS)


def _orientation(image: Image.Image) -> int:
    orientation = image.getexif().get(_ORIENTATION, 1)
    return int(orientation) if orientation in range(2, 9) else 1


def _check_whole(image: Image.Image, content: bytes) -> None:
    """Recognize a file that is cut off without decoding it, which would take most of the time of an ingest."""
    if image.format == "PNG":
        image.verify()
    elif image.format in _STORED_FORMATS and not content.rstrip(b"\0\r\n ").endswith(_JPEG_END):
        with _open(content) as decoded_image:
            decoded_image.load()  # bytes behind the end are harmless, and only decoding tells them from a missing end


def _encode_upright(content: bytes, kind: str) -> tuple[bytes, Literal["jpeg", "png"], ImageSize]:
    """Encode the picture upright: a JPEG as JPEG, any other as PNG."""
    format = _STORED_FORMATS.get(kind, "png")
    out = io.BytesIO()
    with _open(content) as image:
        upright = ImageOps.exif_transpose(image)
    if kind not in _STORED_FORMATS:
        upright = _eight_bit(upright)
    upright.save(out, format, **({"quality": _JPEG_QUALITY} if format == "jpeg" else {}))
    return out.getvalue(), format, ImageSize(*upright.size)


def _eight_bit(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        return image.convert("I").point(lambda value: value / 256).convert("L")
    return image if image.mode in ("RGB", "L") else image.convert("RGB")


def upright_box(box: Box, raw_size: ImageSize, orientation: int) -> Box:
    """Turn a box that was drawn on the raw picture as EXIF turns the picture.

    Args:
      raw_size: (width, height) before turning.
      orientation: EXIF's, 1 to 8.

    Source: Exif 2.3, tag 0x0112.
    """
    points = [_upright_point(x, y, raw_size, orientation) for x, y in ((box.xmin, box.ymin), (box.xmax, box.ymax))]
    xs, ys = zip(*points, strict=True)
    return Box(min(xs), min(ys), max(xs), max(ys))


def _upright_point(x: float, y: float, raw_size: ImageSize, orientation: int) -> tuple[float, float]:
    to_right, to_bottom = raw_size.width - x, raw_size.height - y
    points = {
        2: (to_right, y),
        3: (to_right, to_bottom),
        4: (x, to_bottom),
        5: (y, x),
        6: (to_bottom, x),
        7: (to_bottom, to_right),
        8: (y, to_right),
    }
    return points.get(orientation, (x, y))
