"""COCO JSON: one file with lists of images, categories and objects, as COCO, Roboflow, CVAT and datumaro write it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from slipway.artifacts.dataset import Finding
from slipway.dataset.annotations import LabeledBox
from slipway.dataset.boxes import Box
from slipway.errors import AnnotationError

from services.ingest.formats import Annotation, AnnotationFormat, ListedAnnotations, PendingAnnotation, list_each
from services.ingest.formats.json_fields import bounds, image_size, number, numbers, records, text
from services.ingest.formats.source_file import SourceFile

_Record = dict[str, Any]


@dataclass(frozen=True)
class _Content:
    """The lists of a file by their ids; an id is compared as text, so 7, 7.0 and "7" are the same.

    Attributes:
      filenames: Image id to the distinct names that it is given to.
      labels: Category id to name.
      objects: Image id to its objects.
    """

    key: str
    filenames: dict[str, set[str]]
    labels: dict[str, str]
    objects: dict[str, list[_Record]]


def _detect(file: SourceFile) -> bool:
    document = file.json
    lists = ("images", "annotations", "categories")  # captions and image lists lack categories or annotations
    return isinstance(document, dict) and all(isinstance(document.get(name), list) for name in lists)


def _images(files: Sequence[SourceFile]) -> ListedAnnotations:
    return list_each(files, _list_images)


def _list_images(file: SourceFile) -> ListedAnnotations:
    document = file.json
    if not _detect(file):
        raise AnnotationError("has no lists of images, annotations and categories, as COCO JSON has")
    images, objects = records(document.get("images")), defaultdict(list)
    filenames: dict[str, set[str]] = defaultdict(set)
    for image in images:
        filenames[_id(image.get("id"))].add(text(image.get("file_name")))
    for item in records(document.get("annotations")):
        objects[_id(item.get("image_id"))].append(item)
    labels = {_id(category.get("id")): text(category.get("name")) for category in records(document.get("categories"))}
    content = _Content(file.key, filenames, labels, objects)
    pending = [
        PendingAnnotation(f"{file.key}#{text(image.get('file_name'))}", partial(_annotation, image, content))
        for image in {(_id(image.get("id")), text(image.get("file_name"))): image for image in images}.values()
    ]
    return ListedAnnotations(pending, _check_file(content))


def _annotation(image: _Record, content: _Content) -> Annotation:
    """Parse one image's objects. Raises `AnnotationError` if it has no id, or shares it with another image."""
    image_id, filename = _id(image.get("id")), text(image.get("file_name"))
    if not image_id:
        raise AnnotationError("has no id, so its objects are not known")
    if len(content.filenames[image_id]) > 1:
        names = " and to ".join(sorted(map(repr, content.filenames[image_id])))
        raise AnnotationError(f"image id {image_id} is given to {names}; give each image an id of its own")
    file = f"{content.key}#{filename}"
    boxes, findings = [], []
    for index, item in enumerate(content.objects.get(image_id, ())):
        labeled_box, finding = _labeled_box(index, item, content, file)
        boxes += [labeled_box] if labeled_box else []
        findings += [finding] if finding else []
    size = image_size(image.get("width"), image.get("height"))
    return Annotation(file, filename, size, tuple(boxes), shared_key=content.key, findings=tuple(findings))


def _labeled_box(index: int, item: _Record, content: _Content, file: str) -> tuple[LabeledBox | None, Finding | None]:
    """Return the box, unless it cannot be used, and the finding on an object that is not taken as it is."""
    category = _id(item.get("category_id"))
    label = content.labels.get(category)
    if label is None:
        message = f"object {index} has the category {category or 'none'}, which is not among the file's categories"
        return None, Finding("label_missing", "error", file, None, message, "add the category, or remove the object")
    if number(item.get("iscrowd")) == 1:
        message = f"object {index} ({label!r}) is a crowd (iscrowd 1)"
        return None, Finding("crowd_dropped", "warning", file, None, message, "left out: its box is of many objects")
    corners = numbers(item.get("bbox"))
    if len(corners) == 4:
        x, y, width, height = corners
        return LabeledBox(label, Box(x, y, x + width, y + height)), None
    polygons = item.get("segmentation")
    points = [point for polygon in polygons for point in _points(polygon)] if isinstance(polygons, list) else []
    if not points:
        message = f"object {index} ({label!r}) has no bbox of four numbers"
        return None, Finding("box_not_a_number", "error", file, None, message, "draw it again")
    message = f"object {index} ({label!r}) is a polygon without a bbox"
    return LabeledBox(label, bounds(points)), Finding(
        "shape_bounded", "info", file, None, message, "its bounds are used"
    )


def _points(polygon: Any) -> list[list[float]]:
    coordinates = numbers(polygon)
    return [coordinates[index : index + 2] for index in range(0, len(coordinates), 2)]


def _check_file(content: _Content) -> list[Finding]:
    """Report objects of images that the file does not list, and content that a detector of boxes does not use."""
    findings = []
    objects = [item for items in content.objects.values() for item in items]
    unlisted = [image_id for image_id in content.objects if image_id not in content.filenames]
    if unlisted:
        count = sum(len(content.objects[image_id]) for image_id in unlisted)
        message = f"{count} objects are of images that the file does not list, of image id {unlisted[0]!r} first"
        findings.append(Finding("image_not_listed", "warning", content.key, None, message, "left out"))
    for field, code in (("segmentation", "masks_ignored"), ("keypoints", "keypoints_ignored")):
        count = sum(bool(item.get(field)) and bool(item.get("bbox")) for item in objects)
        if count:
            message = f"{count} objects have {field}"
            findings.append(Finding(code, "info", content.key, None, message, "their boxes are used"))
    return findings


def _id(value: Any) -> str:
    """Return an id as text; empty when there is none."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else text(value)


COCO = AnnotationFormat("coco", "COCO JSON", frozenset({".json"}), _detect, _images)
