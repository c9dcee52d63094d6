"""Image files of any make → upright RGB images; drawn images → JPEG."""

import io
from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np
from PIL import Image, ImageOps

from slipway.errors import InputError

from services.detector.detect import Detection
from services.detector.draw import Mark, draw

# Pillow hands these to other programs of the machine, which no file of a stranger should reach.
_REFUSED = {"EPS", "WMF"}
_FAULTS = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)
_JPEG_QUALITY = 90


def read_image(content: bytes, filename: str) -> Image.Image:
    """Decode a file of any format that Pillow reads, turned upright as its EXIF says, the first frame of several.

    Raises:
      InputError: It is no image, is damaged, or is larger than Pillow decodes.
    """
    Image.init()
    try:
        with Image.open(io.BytesIO(content), formats=sorted(set(Image.OPEN) - _REFUSED)) as image:
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith("I"):  # 16 bits a pixel, which `convert` would cut off at 255
                upright = Image.fromarray(np.clip(np.asarray(upright) // 256, 0, 255).astype(np.uint8))
            return upright.convert("RGB")
    except _FAULTS as error:
        raise InputError(f"{filename}: not read as an image: {error}; open and save it with another program") from error


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


def drawn(image: Image.Image, detections: Sequence[Detection]) -> bytes:
    """Draw detections with label and score."""
    return jpeg(draw(image, [Mark(d.box, d.class_id, f"{d.label} {d.score:.0%}") for d in detections]))


def jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return buffer.getvalue()
