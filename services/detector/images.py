"""Image files of any make → upright RGB images; drawn images → JPEG."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from slipway.errors import InputError
from slipway.report.box_drawing import Mark, draw

from services.detector.detect import Detection

# Pillow hands these to other programs of the machine, which no file of a stranger should reach.
_REFUSED = {"EPS", "WMF"}
_FAULTS = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)
_JPEG_QUALITY = 90


@dataclass(frozen=True)
class Taken:
    """Which images are taken: an image's header tells, before any of it is decoded.

    Attributes:
      pixels: Width times height, at most.
      formats: Pillow's names of them.
    """

    pixels: int
    formats: tuple[str, ...]


def read_image(content: bytes, filename: str, taken: Taken | None = None) -> Image.Image:
    """Decode an image file, turned upright as its EXIF says, the first frame of several.

    Args:
      taken: Every format that Pillow reads, and as many pixels as it decodes, when None.

    Raises:
      InputError: It is no image, is damaged, or is not taken.
    """
    Image.init()
    formats = taken.formats if taken else sorted(set(Image.OPEN) - _REFUSED)
    try:
        with Image.open(io.BytesIO(content), formats=formats) as image:
            if taken and image.width * image.height > taken.pixels:
                raise ValueError(f"it has {image.width}×{image.height} pixels, at most {taken.pixels} are taken")
            return _upright_rgb(image)
    except UnidentifiedImageError as error:  # its own words name an object in memory
        raise _unread(filename, f"it is none of {', '.join(formats) if taken else 'the known formats'}") from error
    except _FAULTS as error:
        raise _unread(filename, str(error)) from error


def is_image_name(filename: str) -> bool:
    """Tell by its suffix whether a file is meant to be an image."""
    return Image.registered_extensions().get(PurePosixPath(filename).suffix.lower()) in set(Image.OPEN) - _REFUSED


def drawn_names(filenames: Sequence[str]) -> dict[str, str]:
    """Name each image's drawn JPEG, all differently: `a/b.png` becomes `a/b.jpg`.

    Where two would get the same name, every file keeps its suffix: `b.png.jpg`.
    """
    names = {name: str(PurePosixPath(name).with_suffix(".jpg")) for name in filenames}
    if len(set(names.values())) < len(names):
        names = {name: f"{name}.jpg" for name in filenames}
    return names


def drawn(image: Image.Image, detections: Sequence[Detection], file_format: Literal["JPEG", "PNG"] = "JPEG") -> bytes:
    """Draw detections with label and score."""
    marks = [Mark(d.box, d.class_id, f"{d.label} {d.score:.0%}") for d in detections]
    return encoded(draw(image, marks), file_format)


def jpeg(image: Image.Image) -> bytes:
    return encoded(image, "JPEG")


def encoded(image: Image.Image, file_format: Literal["JPEG", "PNG"]) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, quality=_JPEG_QUALITY)  # which PNG does not look at
    return buffer.getvalue()


def _upright_rgb(image: Image.Image) -> Image.Image:
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I"):  # 16 bits a pixel, which `convert` would cut off at 255
        upright = Image.fromarray(np.clip(np.asarray(upright) // 256, 0, 255).astype(np.uint8))
    return upright.convert("RGB")


def _unread(filename: str, reason: str) -> InputError:
    return InputError(f"{filename}: not read as an image: {reason}; open and save it with another program")
