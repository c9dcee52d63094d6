"""The tutorial's table of boxes: one row a box, eight columns.

It is named after the tutorial's script. The XML itself is read by ingest, whose checked boxes are tabulated here.
"""

import posixpath
from collections.abc import Iterable

import pandas as pd

from slipway.dataset.annotations import AnnotatedImage

_COLUMNS = ["filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax"]


def common_folder(images: Iterable[AnnotatedImage]) -> str:
    """Return the folder that holds all images, at some depth; "" if it is the source itself.

    It is the tutorial's `--img_path`, so names that repeat in its subfolders stay different.
    """
    folders = {posixpath.dirname(image.filename) for image in images}
    return posixpath.commonpath(folders) if folders and "" not in folders else ""


def box_table(images: Iterable[AnnotatedImage], folder: str = "") -> pd.DataFrame:
    """Tabulate the boxes in the order of the images; an image without boxes has no row.

    Args:
      folder: One that holds all images, at some depth; filenames are relative to it.

    Whole coordinates are written as integers, as the tutorial's script does; others keep their fraction.
    """
    start = len(folder) + 1 if folder else 0
    rows = [
        (
            image.filename[start:],
            *image.size,
            labeled_box.label,
            *map(_whole, labeled_box.box),
        )
        for image in images
        for labeled_box in image.boxes
    ]
    return pd.DataFrame(rows, columns=_COLUMNS, dtype=object)


def _whole(coordinate: float) -> float:
    return int(coordinate) if float(coordinate).is_integer() else coordinate
