"""The tutorial's table of boxes: one row a box, eight columns."""

from collections.abc import Iterable

import pandas as pd

from slipway.dataset.annotations import AnnotatedImage

COLUMNS = ["filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax"]


def xml_to_csv(images: Iterable[AnnotatedImage]) -> pd.DataFrame:
    """Tabulate the boxes in the order of the images; an image without boxes has no row.

    Whole coordinates are written as integers, as the tutorial's script does; others keep their fraction.
    """
    rows = [
        (image.filename, *image.size, labeled.label, *(int(v) if float(v).is_integer() else v for v in labeled.box))
        for image in images
        for labeled in image.boxes
    ]
    return pd.DataFrame(rows, columns=COLUMNS, dtype=object)
