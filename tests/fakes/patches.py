"""Images of coloured patches on black; the colour of a patch tells its class, so pixels can be compared with boxes."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from services.preprocess.tfrecord import example, frame

COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 0, 255), (0, 255, 255))
_CELLS = (3, 2)  # each may hold one patch, so that none hides another

Pixels = NDArray[np.uint8]
Patch = tuple[int, int, int, int, int]  # class id from 1, then ymin, xmin, ymax, xmax in pixels


def draw_patches(height: int, width: int, seed: int, most: int = 6) -> tuple[Pixels, list[Patch]]:
    """Draw at most so many patches, each of another class."""
    rng = np.random.default_rng(seed)
    image, patches = np.zeros((height, width, 3), np.uint8), []
    cell_height, cell_width = height // _CELLS[0], width // _CELLS[1]
    for class_id, cell in enumerate(rng.permutation(6)[:most], start=1):
        top, left = cell // 2 * cell_height, cell % 2 * cell_width
        ymin, xmin = top + rng.integers(cell_height // 3), left + rng.integers(cell_width // 3)
        ymax, xmax = (
            top + cell_height - rng.integers(cell_height // 3),
            left + cell_width - rng.integers(cell_width // 3),
        )
        image[ymin:ymax, xmin:xmax] = COLOURS[class_id - 1]
        patches.append((class_id, int(ymin), int(xmin), int(ymax), int(xmax)))
    return image, patches


def decoded(image: Pixels, patches: Sequence[Patch], source_id: str = "1") -> dict[str, Any]:
    """Return an image as Model Garden's decoder returns it."""
    import tensorflow as tf

    height, width = image.shape[:2]
    boxes = np.array([patch[1:] for patch in patches], np.float32).reshape(-1, 4)
    return {
        "source_id": tf.constant(source_id),
        "image": tf.constant(image),
        "height": tf.constant(height, tf.int64),
        "width": tf.constant(width, tf.int64),
        "groundtruth_classes": tf.constant([patch[0] for patch in patches], tf.int64),
        "groundtruth_is_crowd": tf.zeros([len(patches)], tf.bool),
        "groundtruth_area": tf.constant(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)),
        "groundtruth_boxes": tf.constant(boxes / np.array([height, width, height, width], np.float32)),
    }


def write_records(path: Path, images: Sequence[tuple[Pixels, Sequence[Patch]]]) -> None:
    """Write a TFRecord file; images are stored as PNG, which keeps every colour."""
    path.write_bytes(b"".join(frame(example(_features(*row, n))) for n, row in enumerate(images, start=1)))


def colour_share(image: NDArray[Any], class_id: int) -> float:
    """Return the share of the pixels that have about the colour of a class; 1 for an image without pixels."""
    return float(is_coloured(image, class_id).mean()) if image.size else 1.0


def is_coloured(image: NDArray[Any], class_id: int) -> NDArray[np.bool_]:
    differences = np.abs(image.astype(np.float64) - COLOURS[class_id - 1])
    return np.asarray(differences.max(axis=-1) < 100, dtype=np.bool_)


def _features(image: Pixels, patches: Sequence[Patch], number: int) -> Mapping[str, Any]:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    height, width = image.shape[:2]
    sides = {"ymin": (1, height), "xmin": (2, width), "ymax": (3, height), "xmax": (4, width)}
    return {
        "image/encoded": [file.getvalue()],
        "image/source_id": [str(number).encode()],
        "image/height": [height],
        "image/width": [width],
        "image/object/class/label": [patch[0] for patch in patches],
        **{
            f"image/object/bbox/{name}": [patch[index] / side for patch in patches]
            for name, (index, side) in sides.items()
        },
    }
