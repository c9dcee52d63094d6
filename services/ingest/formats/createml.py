"""CreateML JSON: one file with a list of images, and boxes given by their centres in pixels."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from slipway.dataset.annotations import LabeledBox
from slipway.dataset.boxes import Box
from slipway.errors import AnnotationError

from services.ingest.formats import Annotation, AnnotationFormat, ListedAnnotations, PendingAnnotation, list_each
from services.ingest.formats.json_fields import fields, number, records, text
from services.ingest.formats.source_file import SourceFile

_NAMES = ("image", "imagefilename")  # Roboflow writes the first, older versions of Create ML the second


def _detect(file: SourceFile) -> bool:
    rows = file.json
    return isinstance(rows, list) and bool(rows) and all(_is_image(row) for row in rows)


def _is_image(row: Any) -> bool:
    row = fields(row)
    return isinstance(row.get("annotations"), list) and any(isinstance(row.get(name), str) for name in _NAMES)


def _images(files: Sequence[SourceFile]) -> ListedAnnotations:
    return list_each(files, _list_images)


def _list_images(file: SourceFile) -> ListedAnnotations:
    if not _detect(file):
        raise AnnotationError("is not a list of images with annotations, as Create ML reads it")
    rows: dict[str, dict[str, Any]] = {}
    for row in records(file.json):
        if rows.setdefault(_filename(row), row) is not row:
            raise AnnotationError(f"lists {_filename(row)!r} twice; join its annotations")
    return ListedAnnotations(
        [
            PendingAnnotation(f"{file.key}#{name}", partial(_annotation, file.key, name, row))
            for name, row in rows.items()
        ]
    )


def _filename(row: dict[str, Any]) -> str:
    return next((text(row.get(name)) for name in _NAMES if row.get(name)), "")


def _annotation(key: str, filename: str, row: dict[str, Any]) -> Annotation:
    boxes = tuple(LabeledBox(text(item.get("label")), _box(item)) for item in records(row.get("annotations")))
    return Annotation(f"{key}#{filename}", filename, None, boxes, shared_key=key)


def _box(item: dict[str, Any]) -> Box:
    coordinates = fields(item.get("coordinates"))
    x, y, width, height = (number(coordinates.get(name)) for name in ("x", "y", "width", "height"))
    return Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)


CREATEML = AnnotationFormat("createml", "CreateML JSON", frozenset({".json"}), _detect, _images)
