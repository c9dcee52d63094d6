"""Pascal VOC XML, as labelImg and others write it: tags are read by name, never by position, and in any case."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from slipway.artifacts.dataset import Finding
from slipway.dataset.annotations import LabeledBox
from slipway.dataset.boxes import ImageSize
from slipway.errors import AnnotationError

from services.ingest.formats import Annotation, AnnotationFormat, ListedAnnotations, PendingAnnotation
from services.ingest.formats.source_file import SourceFile
from services.ingest.formats.voc_shapes import Note, is_shape, number, read_shapes, texts
from services.ingest.formats.xml_tree import parse_xml

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_LONGEST_SIDE = 1e6  # pixels; more is a slip of the pen, and would fill the report with digits
# Elements whose <name> is not that of an object: people, VOC's parts of an object, CVAT's attributes.
_NAMED_ELEMENTS = {"object", "part", "attribute", "owner", "source", "author", "annotator", "user"}
_ROOT = re.compile(rb"<\s*(?:[\w.-]+:)?annotation[\s/>]", re.IGNORECASE)


def _detect(file: SourceFile) -> bool:
    return bool(_ROOT.search(file.head.replace(b"\0", b"")))  # UTF-16 has a zero beside each letter


def _images(files: Sequence[SourceFile]) -> ListedAnnotations:
    return ListedAnnotations([PendingAnnotation(file.key, partial(_read, file)) for file in files])


def _read(file: SourceFile) -> Annotation:
    return parse_voc(file.read(), file.key)


def parse_voc(content: bytes, file: str) -> Annotation:
    """Parse one XML file.

    A coordinate that is absent or not a number becomes NaN, and an absent label becomes the empty string; `validate`
    decides what follows from them. Boxes and names where nothing is read are findings.

    Raises:
      AnnotationError: It is not XML, defines entities, its root is not <annotation>, or it names two images or sizes.
    """
    root = parse_xml(content)
    if root.tag != "annotation":
        raise AnnotationError(f"the root is <{root.tag}>, expected <annotation>")
    boxes: list[LabeledBox] = []
    findings: list[Finding] = []
    for item in root.iter("object"):
        if _flag(item, "deleted"):  # LabelMe keeps objects that were removed
            continue
        object_boxes, notes = _read_object(item)
        findings += _findings(file, len(boxes), object_boxes, notes)
        boxes += object_boxes
    findings += _unread_elements(root, file)
    path, folder = ("".join(texts(root, tag)[:1]) for tag in ("path", "folder"))
    return Annotation(file, _only_text(root, "filename"), _size(root), tuple(boxes), path, folder, tuple(findings))


def _findings(file: str, first_index: int, boxes: list[LabeledBox], notes: list[Note]) -> Iterator[Finding]:
    """Yield the findings about one object; an error refuses each of its boxes."""
    for code, severity, message, action in notes:
        for offset, box in enumerate(boxes if severity == "error" else boxes[:1]):
            index = first_index + offset
            yield Finding(code, severity, file, index, f"object {index} ({box.label!r}) {message}", action)


def _read_object(item: "Element") -> tuple[list[LabeledBox], list[Note]]:
    names = texts(item, "name")
    boxes, notes = read_shapes(item)
    if len(names) > 1:
        message = f"has {len(names)} names: {', '.join(names)}"
        notes = [("name_ambiguous", "error", message, "leave one <name>, or write one <object> for each"), *notes]
    label = names[0] if names else ""
    is_difficult, is_truncated = _flag(item, "difficult"), _flag(item, "truncated")
    return [LabeledBox(label, box, is_difficult, is_truncated) for box in boxes], notes


def _unread_elements(root: "Element", file: str) -> Iterator[Finding]:
    """Report boxes and names where nothing was read, once for each kind of element that they stand in."""
    shapes: Counter[tuple[str, str]] = Counter()
    names: Counter[str] = Counter()
    for parent_element in root.iter():
        for element in parent_element:
            if element.tag == "name":
                names[parent_element.tag] += 1
            elif is_shape(element):
                shapes[element.tag, parent_element.tag] += 1
    for (tag, parent), count in shapes.items():
        if parent == "part":
            yield Finding("parts_left_out", "info", file, None, f"has {count} <{tag}> of parts of objects", "left out")
        elif parent != "object" and tag != "object":
            message = f"has {count} <{tag}> in <{parent}>, outside of <object>"
            yield Finding("box_not_read", "error", file, None, message, f"rename <{parent}> to <object>")
    for parent, count in names.items():
        if parent not in _NAMED_ELEMENTS and not any(parent == box_parent for _, box_parent in shapes):
            message = f"has {count} <name> in <{parent}>, outside of <object>"
            yield Finding("name_not_read", "warning", file, None, message, "ignored")
    deleted_count = sum(_flag(item, "deleted") for item in root.iter("object"))
    if deleted_count:
        message = f"has {deleted_count} <object> marked as deleted"
        yield Finding("object_deleted", "info", file, None, message, "left out")


def _size(root: "Element") -> ImageSize | None:
    """Return the size that <size> gives, or LabelMe's <imagesize>; None if it is not one."""
    sizes = {_image_size(element, "width", "height") for element in root.iterfind("size")}
    sizes = sizes or {_image_size(element, "ncols", "nrows") for element in root.iterfind("imagesize")}
    if len(sizes) > 1:
        raise AnnotationError("has two <size> that differ; leave the one of the image")
    return next(iter(sizes), None)


def _image_size(element: "Element", width_tag: str, height_tag: str) -> ImageSize | None:
    width, height = number(element, width_tag), number(element, height_tag)
    is_size = 1 <= width < _LONGEST_SIDE and 1 <= height < _LONGEST_SIDE
    return ImageSize(int(width), int(height)) if is_size else None


def _only_text(root: "Element", tag: str) -> str:
    different_texts = texts(root, tag)
    if len(different_texts) > 1:
        raise AnnotationError(f"has {len(different_texts)} different <{tag}>: {', '.join(different_texts)}; leave one")
    return "".join(different_texts)


def _flag(element: "Element", tag: str) -> bool:
    return any(text not in ("", "0", "false", "False") for text in texts(element, tag))


VOC = AnnotationFormat("voc", "Pascal VOC XML", frozenset({".xml"}), _detect, _images, is_per_image=True)
