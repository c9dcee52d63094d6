"""Image files of any format → upright RGB images; drawn images → JPEG or PNG."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from slipway.errors import InputError
from slipway.report.box_drawing import Mark, draw

from services.detector.detect import Detection

# Pillow opens these with other programs of the machine, which an untrusted file must not reach.
_UNSAFE_FORMATS = {"EPS", "WMF"}
_FAULTS = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)
_JPEG_QUALITY = 90
# Pictures that Pillow does not know: they are tried, so that the log names them instead of counting other files.
_UNREADABLE_SUFFIXES = {".heic", ".heif", ".hif", ".jxl", ".cr3"}
_DEPTHS = (8, 10, 12, 14, 16, 24, 32)  # bits a pixel that cameras and scanners use


@dataclass(frozen=True)
class ImageLimits:
    """Limits of accepted images, which are checked in the header before anything is decoded.

    Attributes:
      pixels: Largest width times height.
      formats: Pillow's names of the accepted formats.
    """

    pixels: int
    formats: tuple[str, ...]


def read_image(content: bytes, filename: str, limits: ImageLimits | None = None) -> Image.Image:
    """Decode the first frame of an image file, turned upright by its EXIF orientation.

    Args:
      limits: If None, every safe format that Pillow reads, and as many pixels as it decodes.

    Raises:
      InputError: The file is not an image, is damaged, or exceeds the limits.
    """
    Image.init()
    formats = limits.formats if limits else sorted(set(Image.OPEN) - _UNSAFE_FORMATS)
    try:
        with Image.open(io.BytesIO(content), formats=formats) as image:
            if limits and image.width * image.height > limits.pixels:
                raise ValueError(f"it has {image.width}×{image.height} pixels, at most {limits.pixels} are taken")
            return _upright_rgb(image)
    except UnidentifiedImageError as error:  # its message names only an object in memory
        raise _unreadable(filename, f"it is none of {', '.join(formats) if limits else 'the known formats'}") from error
    except _FAULTS as error:
        raise _unreadable(filename, str(error)) from error


def is_image_name(filename: str) -> bool:
    """Check by the suffix whether a file is meant to be an image."""
    suffix = PurePosixPath(filename).suffix.lower()
    is_known = Image.registered_extensions().get(suffix) in set(Image.OPEN) - _UNSAFE_FORMATS
    return is_known or suffix in _UNREADABLE_SUFFIXES


def drawn_names(filenames: Sequence[str]) -> dict[str, str]:
    """Return a distinct name for the drawn JPEG of each image: `a/b.png` becomes `a/b.jpg`.

    Where two would get the same name, every file keeps its suffix: `b.png.jpg`.
    """
    names = {name: str(PurePosixPath(name).with_suffix(".jpg")) for name in filenames}
    if len(set(names.values())) < len(names):
        names = {name: f"{name}.jpg" for name in filenames}
    return names


def draw_detections(
    image: Image.Image, detections: Sequence[Detection], file_format: Literal["JPEG", "PNG"] = "JPEG"
) -> bytes:
    """Draw the detections with label and score, and return the file's bytes."""
    return _encode(draw(image, detection_marks(detections)), file_format)


def detection_marks(detections: Sequence[Detection]) -> list[Mark]:
    """Return what is drawn for each detection: its box, with label and score."""
    return [Mark(d.box, d.class_id, f"{d.label} {d.score:.0%}") for d in detections]


def encode_jpeg(image: Image.Image) -> bytes:
    return _encode(image, "JPEG")


def _encode(image: Image.Image, file_format: Literal["JPEG", "PNG"]) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, quality=_JPEG_QUALITY)  # PNG ignores the quality
    return buffer.getvalue()


def _upright_rgb(image: Image.Image) -> Image.Image:
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I"):  # 16 bits a pixel, which `convert` would clip at 255
        upright = Image.fromarray(_eight_bits(np.asarray(upright)))
    return upright.convert("RGB")


def _eight_bits(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Scale grey pixels by the bits that they use, as ingest does with training images: 12 bits in 16 are common."""
    highest = int(pixels.max(initial=0))
    bits = next((depth for depth in _DEPTHS if highest < 2**depth), _DEPTHS[-1])
    scaled: NDArray[np.uint8] = np.clip(pixels // 2 ** (bits - 8), 0, 255).astype(np.uint8)
    return scaled


def _unreadable(filename: str, reason: str) -> InputError:
    return InputError(f"{filename}: not read as an image: {reason}; open and save it with another program")
