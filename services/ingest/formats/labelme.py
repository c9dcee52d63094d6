"""LabelMe JSON: one file for each image, with its shapes."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from slipway.dataset.boxes import Box
from slipway.errors import AnnotationError

from services.ingest.formats import Annotation, AnnotationFormat, ListedAnnotations, PendingAnnotation
from services.ingest.formats.json_fields import bounds, fields, image_size, numbers, records, text
from services.ingest.formats.shapes import Shape, read_shapes
from services.ingest.formats.source_file import SourceFile

_BOUNDED_KINDS = {"polygon": "polygon", "mask": "mask", "rotation": "turned box", "oriented_rectangle": "turned box"}


def _detect(file: SourceFile) -> bool:
    document = fields(file.json)
    return isinstance(document.get("shapes"), list) and "imagePath" in document


def _images(files: Sequence[SourceFile]) -> ListedAnnotations:
    return ListedAnnotations([PendingAnnotation(file.key, partial(_read, file)) for file in files])


def _read(file: SourceFile) -> Annotation:
    if not _detect(file):
        raise AnnotationError("has no imagePath and list of shapes, as LabelMe's files have")
    document = fields(file.json)
    boxes, findings = read_shapes([_shape(item) for item in records(document.get("shapes"))], file.key)
    size = image_size(document.get("imageWidth"), document.get("imageHeight"))
    return Annotation(file.key, text(document.get("imagePath")), size, boxes, findings=findings)


def _shape(item: dict[str, Any]) -> Shape:
    label, kind = text(item.get("label")), text(item.get("shape_type")) or "polygon"  # the default of old versions
    rows = item.get("points")
    points = [numbers(point) for point in rows] if isinstance(rows, list) else []
    if kind == "rectangle":
        return Shape(label, "box", bounds(points) if len(points) in (2, 4) else bounds([]))
    if kind == "circle":
        return Shape(label, kind, _circle_bounds(points))
    if kind in _BOUNDED_KINDS:
        return Shape(label, _BOUNDED_KINDS[kind], bounds(points))
    return Shape(label, kind, None)


def _circle_bounds(points: list[list[float]]) -> Box:
    """Return the bounds of a circle, whose points are its centre and one on its edge."""
    if len(points) != 2 or any(len(point) != 2 for point in points):
        return bounds([])
    (x, y), (edge_x, edge_y) = points
    radius = ((edge_x - x) ** 2 + (edge_y - y) ** 2) ** 0.5
    return Box(x - radius, y - radius, x + radius, y + radius)


LABELME = AnnotationFormat("labelme", "LabelMe JSON", frozenset({".json"}), _detect, _images, is_per_image=True)
