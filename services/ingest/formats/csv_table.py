"""The tutorial's CSV: a row for each box, as `xml_to_csv.py` writes it."""

import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from io import StringIO

from slipway.dataset.annotations import LabeledBox
from slipway.dataset.boxes import Box
from slipway.errors import AnnotationError

from services.ingest.formats import Annotation, AnnotationFormat, ListedAnnotations, PendingAnnotation, list_each
from services.ingest.formats.json_fields import image_size, number, text
from services.ingest.formats.source_file import SourceFile

_COLUMNS = ("filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax")
_SEPARATORS = ",;\t"

_Row = Mapping[str, str | None]


def _detect(file: SourceFile) -> bool:
    return any(_separator(line) for line in file.head_lines()[:1])


def _separator(header: str) -> str:
    """Return the separator with which the line names every column, in any order; empty if none does."""
    for separator in _SEPARATORS:
        if set(_COLUMNS) <= {name.strip().strip('"').lower() for name in header.split(separator)}:
            return separator
    return ""


def _images(files: Sequence[SourceFile]) -> ListedAnnotations:
    return list_each(files, _list_images)


def _list_images(file: SourceFile) -> ListedAnnotations:
    rows_of: dict[str, list[_Row]] = defaultdict(list)
    for row in _rows(file):
        rows_of[text(row.get("filename"))].append(row)
    pending = [
        PendingAnnotation(f"{file.key}#{filename}", partial(_annotation, file.key, filename, rows))
        for filename, rows in rows_of.items()
    ]
    return ListedAnnotations(pending)


def _rows(file: SourceFile) -> Iterator[_Row]:
    try:
        lines = file.read_limited().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise AnnotationError(f"cannot be read as text: {error}; save it as UTF-8") from error
    separator = _separator(lines.partition("\n")[0])
    if not separator:
        raise AnnotationError(f"its first line does not name the columns {', '.join(_COLUMNS)}")
    reader = csv.DictReader(StringIO(lines, newline=""), delimiter=separator)
    reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
    try:
        yield from reader
    except csv.Error as error:
        raise AnnotationError(f"line {reader.line_num}: cannot be read as CSV: {error}") from error


def _annotation(key: str, filename: str, rows: Sequence[_Row]) -> Annotation:
    """Return the boxes of one image; a row with a name and empty cells otherwise is an image without boxes."""
    sizes = {image_size(row.get("width"), row.get("height")) for row in rows}
    if len(sizes) > 1:
        raise AnnotationError(
            f"the rows of {filename!r} give it {len(sizes)} different sizes; correct width and height"
        )
    boxes = [
        LabeledBox(text(row.get("class")), Box(*(number(row.get(name)) for name in Box._fields)))
        for row in rows
        if any(text(row.get(name)) for name in ("class", *Box._fields))
    ]
    file = f"{key}#{filename}"
    return Annotation(file, filename, sizes.pop(), tuple(boxes), shared_key=key)


CSV = AnnotationFormat("csv", "the tutorial's CSV", frozenset({".csv"}), _detect, _images, is_derived=True)
