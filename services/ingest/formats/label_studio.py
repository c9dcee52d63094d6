"""Label Studio JSON and JSON-MIN: one file with a list of tasks, and regions in percent of the image."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from slipway.artifacts.dataset import Finding
from slipway.dataset.boxes import Box, ImageSize
from slipway.errors import AnnotationError

from services.ingest.formats import Annotation, AnnotationFormat, ListedAnnotations, PendingAnnotation, list_each
from services.ingest.formats.json_fields import bounds, fields, image_size, number, numbers, records, text
from services.ingest.formats.shapes import Shape, read_shapes
from services.ingest.formats.source_file import SourceFile

_UPLOAD_PREFIX = re.compile(r"^[0-9a-f]{8}-(?=.)")  # put before the name of an uploaded file
_LABEL_FIELDS = ("rectanglelabels", "polygonlabels", "ellipselabels", "brushlabels", "keypointlabels", "labels")
_KINDS = {"rectangle": "box", "labels": "box", "polygon": "polygon", "ellipse": "ellipse"}
_REGIONS = (*_KINDS, "brush", "keypoint")
_IMAGE_NAME = re.compile(r"\.(?:jpe?g|png|bmp|gif|tiff?|webp)(?:\?.*)?$", re.IGNORECASE)
_Record = dict[str, Any]


def _detect(file: SourceFile) -> bool:
    tasks = file.json
    return isinstance(tasks, list) and bool(tasks) and all(_is_task(fields(task)) for task in tasks)


def _is_task(task: _Record) -> bool:
    return bool(_image(task)) and (isinstance(task.get("annotations"), list) or "annotation_id" in task)


def _images(files: Sequence[SourceFile]) -> ListedAnnotations:
    return list_each(files, _list_images)


def _list_images(file: SourceFile) -> ListedAnnotations:
    if not _detect(file):
        raise AnnotationError("is not a list of tasks with images, as Label Studio exports them")
    annotations = ListedAnnotations()
    for task in records(file.json):
        filename = _filename(_image(task))
        entry = f"{file.key}#{filename}"
        if "annotation_id" in task:
            results = [region for value in task.values() for region in records(value)]
        else:
            submitted = [item for item in records(task.get("annotations")) if not item.get("was_cancelled")]
            if not submitted:
                continue  # a task that nobody annotated, or that was skipped: its image has no annotation
            chosen = next((item for item in submitted if item.get("ground_truth")), submitted[-1])
            results = records(chosen.get("result"))
            if len(submitted) > 1:
                message = f"has {len(submitted)} annotations"
                action = "the ground truth was used" if chosen.get("ground_truth") else "the last was used"
                annotations.findings.append(Finding("annotation_left_out", "warning", entry, None, message, action))
        annotations.pending.append(PendingAnnotation(entry, partial(_annotation, file.key, filename, results)))
    return annotations


def _image(task: _Record) -> str:
    """Return the address of a task's image: the field `image`, or the first one that looks like it."""
    values = fields(task.get("data")) or task
    names = [name for name, value in values.items() if isinstance(value, str) and _IMAGE_NAME.search(value)]
    name = "image" if isinstance(values.get("image"), str) else next(iter(names), "")
    return text(values.get(name))


def _filename(address: str) -> str:
    """Return the image's path in an address such as `/data/local-files/?d=a/1.jpg` or `s3://bucket/a/1.jpg`."""
    try:
        parts = urlsplit(address)
    except ValueError:  # brackets that are not those of an address
        return address
    local_path = parse_qs(parts.query).get("d", [""])[0]
    return local_path or unquote(parts.path).lstrip("/")


def _annotation(key: str, filename: str, results: list[_Record]) -> Annotation:
    if any(number(item.get("image_rotation")) % 360 > 0 for item in results):
        raise AnnotationError("its image was turned in Label Studio; turn it back, and correct the boxes")
    sizes = {size for item in results if (size := image_size(item.get("original_width"), item.get("original_height")))}
    if len(sizes) > 1:
        raise AnnotationError(f"its regions name {len(sizes)} different sizes of the image; export it again")
    size = next(iter(sizes), None)
    labeled_ids = {text(item.get("id")) for item in results if _labels(_value(item))}
    shapes = [shape for item in results for shape in _shapes(item, size, labeled_ids)]
    file = f"{key}#{filename}"
    boxes, findings = read_shapes(shapes, file)
    count = sum(_kind(item) not in _REGIONS for item in results)
    if count:
        message = f"has {count} answers that are not regions"
        findings = (*findings, Finding("attributes_ignored", "info", file, None, message, "not used"))
    other_name = _UPLOAD_PREFIX.sub("", filename.rpartition("/")[2], count=1)
    annotation = Annotation(file, filename, size, boxes, findings=findings, shared_key=key)
    return replace(annotation, second_filename=other_name)


def _value(item: _Record) -> _Record:
    """Return the fields of a region, which JSON-MIN writes without the level of `value`."""
    return fields(item.get("value")) or item


def _kind(item: _Record) -> str:
    name = text(item.get("type")) or next((field for field in _LABEL_FIELDS if field in item), "")
    return name.removesuffix("labels") or name


def _labels(value: _Record) -> list[str]:
    return [text(label) for name in _LABEL_FIELDS for label in _list(value.get(name))]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _shapes(item: _Record, size: ImageSize | None, labeled_ids: set[str]) -> Iterator[Shape]:
    """Yield a shape for each label of a region; one without label only if its label is not in another record."""
    kind, value = _kind(item), _value(item)
    labels = _labels(value)
    if kind not in _REGIONS or (not labels and text(item.get("id")) in labeled_ids):
        return
    for label in labels or [""]:
        yield _shape(label, kind, value, size or ImageSize(0, 0))


def _shape(label: str, kind: str, value: _Record, size: ImageSize) -> Shape:
    width, height = (side / 100 or math.nan for side in size)
    degrees = number(value.get("rotation"))
    degrees = 0.0 if math.isnan(degrees) else degrees
    x, y = number(value.get("x")) * width, number(value.get("y")) * height
    if kind == "polygon":
        points = [numbers(point) for point in _list(value.get("points"))]
        sides = (width, height)
        pixels = [[share * side for share, side in zip(point, sides, strict=False)] for point in points]
        return Shape(label, kind, bounds(pixels))
    if kind == "ellipse":
        rx, ry = number(value.get("radiusX")) * width, number(value.get("radiusY")) * height
        return Shape(label, kind, Box(x - rx, y - ry, x + rx, y + ry), degrees)
    if kind in _KINDS:
        box_width, box_height = number(value.get("width")) * width, number(value.get("height")) * height
        return Shape(label, "box", _around_centre(x, y, (box_width, box_height), degrees), degrees)
    return Shape(label, kind, None)


def _around_centre(x: float, y: float, sides: tuple[float, float], degrees: float) -> Box:
    """Return the box, not turned, with the centre that it has when it is turned about its left top corner (x, y)."""
    width, height = sides
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    centre_x = x + (width * cosine - height * sine) / 2
    centre_y = y + (width * sine + height * cosine) / 2
    if degrees == 0:
        return Box(x, y, x + width, y + height)
    return Box(centre_x - width / 2, centre_y - height / 2, centre_x + width / 2, centre_y + height / 2)


LABEL_STUDIO = AnnotationFormat("label-studio", "Label Studio JSON", frozenset({".json"}), _detect, _images)
