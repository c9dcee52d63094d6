"""The repair of image files: returns bytes that Model Garden decodes correctly, JPEG or PNG, whole and upright."""

import io
import struct
from dataclasses import dataclass
from typing import Literal

from PIL import Image, ImageOps, UnidentifiedImageError

from slipway.dataset.boxes import Box, ImageSize

from services.ingest.images import BrokenImage, Note
from services.ingest.images.deep_pixels import check_channels, reduce_to_eight_bits, tiff_bits, used_bits
from services.ingest.images.jpeg import is_damaged, read_layout
from services.ingest.images.png import SIGNATURE, Png, read_png
from services.ingest.images.unreadable import describe_unreadable

# Only these decoders are used, since Pillow has others that start programs.
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "AVIF", "PPM")
# Pillow's name of a format that is stored as it is. MPO is what phones write as JPEG: several pictures in one file.
_STORED_FORMATS: dict[str, Literal["jpeg", "png"]] = {"JPEG": "jpeg", "MPO": "jpeg", "PNG": "png"}
_MOST_PIXELS = 100_000_000  # 300 MB when decoded, which still fits into a worker's memory
_ORIENTATION = 0x0112
_SIDEWAYS = range(5, 9)  # orientations that exchange width and height
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
      notes: On pixels that are damaged or were scaled.
    """

    content: bytes
    format: Literal["jpeg", "png"]
    size: ImageSize
    raw_size: ImageSize
    orientation: int
    original_format: str = ""
    is_first_of_many: bool = False
    notes: tuple[Note, ...] = ()


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
        raise BrokenImage("image_unreadable", describe_unreadable(content)) from error
    except Image.DecompressionBombError as error:
        raise BrokenImage("image_too_large", f"has more pixels than can be read: {error}") from error
    except _DECODER_ERRORS as error:
        raise BrokenImage("image_truncated", f"is damaged or cut off: {error}") from error


def _read(content: bytes) -> Picture:
    png = read_png(content) if content.startswith(SIGNATURE) else None
    readable = png.without_texts() if png else content
    with _open(readable) as image:
        kind, size = str(image.format), ImageSize(*image.size)
        if size.width * size.height > _MOST_PIXELS:
            message = f"is {size.width} × {size.height} pixels, at most {_MOST_PIXELS:,} are read"
            raise BrokenImage("image_too_large", message)
        is_first_of_many = kind != "MPO" and getattr(image, "is_animated", False)
        orientation = _orientation(image) if png is None or png.has(b"eXIf") else 1
    is_readable, notes = _check_png(png, readable) if png else _check_jpeg(content, kind)
    if is_readable and orientation == 1:
        return Picture(content, _STORED_FORMATS[kind], size, size, orientation, "", is_first_of_many, notes)
    # Pillow itself turns TIFF, and gives the size of the turned picture.
    is_turned = kind == "TIFF" and orientation in _SIDEWAYS
    raw_size = ImageSize(size.height, size.width) if is_turned else size
    encoded_content, format, upright_size, more_notes = _encode_upright(readable, kind)
    notes += more_notes
    return Picture(encoded_content, format, upright_size, raw_size, orientation, kind, is_first_of_many, notes)


def _open(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content), formats=_FORMATS)


def _orientation(image: Image.Image) -> int:
    orientation = image.getexif().get(_ORIENTATION, 1)
    return int(orientation) if orientation in range(2, 9) else 1


def _check_png(png: Png, readable: bytes) -> tuple[bool, tuple[Note, ...]]:
    """Decode a PNG; return whether TensorFlow reads it, and reads its pixels as they are meant."""
    with _open(readable) as image:
        image.load()
        if image.mode.startswith("I"):
            return png.is_strict() and used_bits(image) == png.depth, ()
        if png.depth > 8:
            check_channels(image)
    if png.is_strict():
        return True, ()
    return False, (("png_rewritten", "info", "has chunks or data that training cannot read", "encoded again"),)


def _check_jpeg(content: bytes, kind: str) -> tuple[bool, tuple[Note, ...]]:
    """Check whether TensorFlow reads a JPEG, and whether its pixels are damaged; it reads no other format as it is."""
    if kind not in _STORED_FORMATS:
        return False, ()
    layout = read_layout(content)
    if not is_damaged(content, layout):
        return layout.is_stored, ()
    message = "is damaged: its compressed data do not end where its pixels do"
    return layout.is_stored, (("image_damaged", "warning", message, "kept; a part of it may be grey or shifted"),)


def _encode_upright(content: bytes, kind: str) -> tuple[bytes, Literal["jpeg", "png"], ImageSize, tuple[Note, ...]]:
    """Encode the picture upright: a JPEG as JPEG, any other as PNG of 8 bits."""
    format = _STORED_FORMATS.get(kind, "png")
    note = None
    out = io.BytesIO()
    with _open(content) as image:
        bits = tiff_bits(image)
        upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith(("I", "F")):
        upright, note = reduce_to_eight_bits(upright)
    elif kind not in _STORED_FORMATS:
        if bits > 8:
            check_channels(upright)
        upright = upright if upright.mode in ("RGB", "L") else upright.convert("RGB")
    upright.save(out, format, **({"quality": _JPEG_QUALITY} if format == "jpeg" else {}))
    return out.getvalue(), format, ImageSize(*upright.size), (note,) if note else ()


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
