"""CVAT for images 1.1: one XML file with an element for each image."""

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from slipway.artifacts.dataset import Finding
from slipway.dataset.boxes import Box
from slipway.errors import AnnotationError

from services.ingest.formats import Annotation, AnnotationFormat, ListedAnnotations, PendingAnnotation, list_each
from services.ingest.formats.json_fields import bounds, image_size, number, text
from services.ingest.formats.shapes import Shape, read_shapes
from services.ingest.formats.source_file import SourceFile
from services.ingest.formats.xml_tree import parse_xml

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_SHAPES = ("box", "polygon", "polyline", "points", "ellipse", "cuboid", "skeleton", "mask", "tag")


def _detect(file: SourceFile) -> bool:
    head = file.head.replace(b"\0", b"")
    return b"<annotations" in head and (b"<image" in head or b"<meta" in head or b"<version" in head)


def _images(files: Sequence[SourceFile]) -> ListedAnnotations:
    return list_each(files, _list_images)


def _list_images(file: SourceFile) -> ListedAnnotations:
    root = parse_xml(file.read_limited())
    if root.tag != "annotations":
        raise AnnotationError(f"the root is <{root.tag}>, expected <annotations>")
    if root.find("track") is not None:
        raise AnnotationError("is CVAT for video 1.1, which has tracks; export the task as CVAT for images 1.1")
    pending = [
        PendingAnnotation(f"{file.key}#{text(image.get('name'))}", partial(_annotation, file.key, image))
        for image in root.iter("image")
    ]
    attribute_count = sum(1 for image in root.iter("image") for _ in image.iter("attribute"))
    findings = []
    if attribute_count:
        message = f"has {attribute_count} attributes of objects"
        findings.append(Finding("attributes_ignored", "info", file.key, None, message, "not used"))
    return ListedAnnotations(pending, findings)


def _annotation(key: str, image: "Element") -> Annotation:
    filename = text(image.get("name"))
    file = f"{key}#{filename}"
    boxes, findings = read_shapes([_shape(item) for item in image if item.tag in _SHAPES], file)
    size = image_size(image.get("width"), image.get("height"))
    split = text(image.get("subset"))
    return Annotation(file, filename, size, boxes, shared_key=key, split=split, findings=findings)


def _shape(item: "Element") -> Shape:
    label = text(item.get("label"))
    if item.tag == "box":
        box = Box(*(number(item.get(name)) for name in ("xtl", "ytl", "xbr", "ybr")))
        return Shape(label, "box", box, rotation=_rotation(item))
    if item.tag == "ellipse":
        x, y, rx, ry = (number(item.get(name)) for name in ("cx", "cy", "rx", "ry"))
        return Shape(label, "ellipse", Box(x - rx, y - ry, x + rx, y + ry), rotation=_rotation(item))
    if item.tag == "mask":
        left, top, width, height = (number(item.get(name)) for name in ("left", "top", "width", "height"))
        return Shape(label, "mask", Box(left, top, left + width, top + height))
    if item.tag == "polygon":
        points = [[number(value) for value in pair.split(",")] for pair in text(item.get("points")).split(";")]
        return Shape(label, "polygon", bounds(points))
    return Shape(label, item.tag, None)


def _rotation(item: "Element") -> float:
    degrees = number(item.get("rotation"))
    return 0.0 if math.isnan(degrees) else degrees


CVAT = AnnotationFormat("cvat", "CVAT for images 1.1", frozenset({".xml"}), _detect, _images)
