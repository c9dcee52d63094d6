"""The tutorial's table of boxes: one row a box, eight columns.

It is named after the tutorial's script. The XML itself is read by ingest, whose checked boxes are tabulated here.
"""

from collections.abc import Iterable

import pandas as pd

from slipway.dataset.annotations import AnnotatedImage

_COLUMNS = ["filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax"]


def box_table(images: Iterable[AnnotatedImage]) -> pd.DataFrame:
    """Tabulate the boxes in the order of the images; an image without boxes has no row.

    Whole coordinates are written as integers, as the tutorial's script does; others keep their fraction.
    """
    rows = [
        (image.filename, *image.size, labeled_box.label, *map(_whole, labeled_box.box))
        for image in images
        for labeled_box in image.boxes
    ]
    return pd.DataFrame(rows, columns=_COLUMNS, dtype=object)


def _whole(coordinate: float) -> float:
    return int(coordinate) if float(coordinate).is_integer() else coordinate
