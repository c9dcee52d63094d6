"""Pascal VOC XML of one image, in labelImg's form, which the tutorial's scripts read by the order of its tags."""

import math
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from slipway.dataset.annotations import AnnotatedImage, LabeledBox


def voc_xml(image: AnnotatedImage, name: str) -> bytes:
    """Return the annotation of an image.

    Args:
      name: Of the image's file, in the same folder as the XML.
    """
    root = Element("annotation")
    _add(root, "filename", name)
    size = SubElement(root, "size")
    for tag, value in (("width", image.size.width), ("height", image.size.height), ("depth", 3)):
        _add(size, tag, value)
    for labeled_box in image.boxes:
        _add_object(root, labeled_box)
    indent(root)
    return bytes(tostring(root, encoding="utf-8")) + b"\n"


def _add_object(root: Element, labeled_box: LabeledBox) -> None:
    """Add a box; sides between pixels are moved outwards to whole ones, since the scripts read integers."""
    element, box = SubElement(root, "object"), labeled_box.box
    _add(element, "name", labeled_box.label)
    _add(element, "pose", "Unspecified")
    _add(element, "truncated", int(labeled_box.truncated))
    _add(element, "difficult", int(labeled_box.difficult))
    corners = SubElement(element, "bndbox")
    sides = (math.floor(box.xmin), math.floor(box.ymin), math.ceil(box.xmax), math.ceil(box.ymax))
    for tag, value in zip(("xmin", "ymin", "xmax", "ymax"), sides, strict=True):
        _add(corners, tag, value)


def _add(parent: Element, tag: str, value: object) -> None:
    SubElement(parent, tag).text = str(value)
