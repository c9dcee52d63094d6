"""YOLO text files: a line for each box, in shares of the image; class names are in another file."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from slipway.artifacts.dataset import Finding
from slipway.dataset.annotations import LabeledBox
from slipway.dataset.boxes import Box
from slipway.errors import AnnotationError

from services.ingest.formats import Annotation, AnnotationFormat, ListedAnnotations, PendingAnnotation
from services.ingest.formats.json_fields import bounds, number
from services.ingest.formats.source_file import SourceFile
from services.ingest.formats.yolo_names import YoloDataset, read_yolo_dataset

_BOX_VALUES = 4
_LARGEST_SHARE = 2.0  # boxes overhang by little, so what is above was written in pixels
_CLASS_ID = re.compile(r"\d{1,9}(\.0*)?")


@dataclass(frozen=True)
class _Line:
    """One object: its class id, and the numbers after it."""

    class_id: int
    values: tuple[float, ...]

    def is_polygon(self, dataset: YoloDataset) -> bool:
        return len(self.values) > _BOX_VALUES and not dataset.has_keypoints


def _detect(file: SourceFile) -> bool:
    lines = file.head_lines()
    try:
        return bool(lines) and all(_parse_line(line) for line in lines)
    except AnnotationError:
        return False


def _images(files: Sequence[SourceFile]) -> ListedAnnotations:
    """List the annotations. Raises `InputError` if the source has no names of the classes, or several lists of them."""
    dataset = read_yolo_dataset(files[0].source)
    return ListedAnnotations([PendingAnnotation(file.key, partial(_read, file, dataset)) for file in files])


def _read(file: SourceFile, dataset: YoloDataset) -> Annotation:
    try:
        lines = file.read().decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise AnnotationError(f"cannot be read as text: {error}") from error
    rows = [_parse_numbered_line(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    boxes = tuple(
        LabeledBox(dataset.names[row.class_id], _box(row, dataset)) for row in rows if row.class_id in dataset.names
    )
    findings = [*_report_classes(file.key, rows, dataset), *_report_shapes(file.key, rows, dataset)]
    split = dataset.split_of(file.key)
    return Annotation(file.key, "", None, boxes, findings=tuple(findings), is_relative=True, split=split)


def _parse_numbered_line(line_number: int, line: str) -> _Line:
    try:
        return _parse_line(line)
    except AnnotationError as error:
        raise AnnotationError(f"line {line_number} {error}") from error


def _parse_line(line: str) -> _Line:
    """Parse `class x y width height`, the same with keypoints, or `class x1 y1 x2 y2 x3 y3 …`.

    Raises:
      AnnotationError: It has another form, or is in pixels.
    """
    class_text, *texts = line.split()
    values = tuple(map(number, texts))
    if not _CLASS_ID.fullmatch(class_text) or any(map(math.isnan, values)):
        raise AnnotationError(f"is {line.strip()[:60]!r}, expected a class id, and then numbers")
    if len(values) < _BOX_VALUES or len(values) == _BOX_VALUES + 1:  # the latter is a score: a detection, not drawn
        raise AnnotationError(
            f"has {len(values)} numbers after the class id, expected x, y, width and height, or at least three points"
        )
    if max(map(abs, values)) > _LARGEST_SHARE:
        raise AnnotationError(f"has {max(values, key=abs):g}, expected shares of the image from 0 to 1, not pixels")
    return _Line(int(float(class_text)), values)


def _box(row: _Line, dataset: YoloDataset) -> Box:
    if row.is_polygon(dataset):
        if len(row.values) % 2:
            raise AnnotationError(f"has a polygon of {len(row.values)} numbers, expected x and y of each point")
        return bounds(zip(row.values[::2], row.values[1::2], strict=True))
    x, y, width, height = row.values[:_BOX_VALUES]
    return Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def _report_classes(file: str, rows: Sequence[_Line], dataset: YoloDataset) -> Iterator[Finding]:
    for index, row in enumerate(rows):
        if row.class_id not in dataset.names:
            ids = f"{min(dataset.names)} to {max(dataset.names)}"
            message = f"object {index} has the class id {row.class_id}, and the names are of {ids}"
            action = "add the name, or correct the id"
            yield Finding("label_missing", "error", file, None, message, action)


def _report_shapes(file: str, rows: Sequence[_Line], dataset: YoloDataset) -> Iterator[Finding]:
    count = sum(len(row.values) > _BOX_VALUES for row in rows)
    if count and dataset.has_keypoints:
        message = f"{count} of its {len(rows)} objects have keypoints"
        yield Finding("keypoints_ignored", "info", file, None, message, "their boxes were taken")
    elif count:
        message = f"{count} of its {len(rows)} objects are polygons"
        yield Finding("shape_bounded", "info", file, None, message, "their bounds were taken")


YOLO = AnnotationFormat("yolo", "YOLO text", frozenset({".txt"}), _detect, _images, is_per_image=True)
