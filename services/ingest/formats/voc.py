"""Pascal VOC XML, as labelImg writes it: tags are read by name, never by position."""

import math
from typing import TYPE_CHECKING
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from slipway.dataset.annotations import LabeledBox
from slipway.dataset.boxes import Box, ImageSize
from slipway.errors import AnnotationError

from services.ingest.formats import Annotation

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_LONGEST_SIDE = 1e6  # pixels; more is a slip of the pen, and would fill the report with digits


def parse_voc(content: bytes, file: str) -> Annotation:
    """Parse one XML file in the encoding that it declares.

    A coordinate that is absent or not a number becomes NaN, and an absent label becomes the empty string; `validate`
    decides what follows from them.

    Raises:
      AnnotationError: It is not XML, defines entities, or its root is not <annotation>.
    """
    try:
        root = fromstring(content, forbid_dtd=True)
    except ParseError as error:
        line, column = error.position
        raise AnnotationError(
            f"line {line}, column {column}: cannot be parsed as XML ({str(error).split(':')[0]})"
        ) from error
    except DefusedXmlException as error:
        raise AnnotationError("declares a document type or entities, which no annotation needs") from error
    except (ValueError, LookupError) as error:  # an encoding that Python does not know, or a wrong one
        raise AnnotationError(f"cannot be decoded: {error}") from error
    if root.tag != "annotation":
        raise AnnotationError(f"the root is <{root.tag}>, expected <annotation>")
    boxes = tuple(_labeled_box(item) for item in root.iter("object"))
    size, path, folder = _size(root.find("size")), _text(root, "path"), _text(root, "folder")
    return Annotation(file, _text(root, "filename"), size, boxes, path, folder)


def _labeled_box(item: "Element") -> LabeledBox:
    corners = item.find("bndbox")
    box = Box(*(_number(corners, tag) for tag in Box._fields))
    return LabeledBox(_text(item, "name"), box, _flag(item, "difficult"), _flag(item, "truncated"))


def _size(element: "Element | None") -> ImageSize | None:
    width, height = _number(element, "width"), _number(element, "height")
    is_size = 1 <= width < _LONGEST_SIDE and 1 <= height < _LONGEST_SIDE
    return ImageSize(int(width), int(height)) if is_size else None


def _text(element: "Element", tag: str) -> str:
    return (element.findtext(tag) or "").strip()


def _flag(element: "Element", tag: str) -> bool:
    return _text(element, tag) not in ("", "0", "false", "False")


def _number(element: "Element | None", tag: str) -> float:
    try:
        number = float(_text(element, tag)) if element is not None else math.nan
    except ValueError:
        return math.nan
    return number if math.isfinite(number) else math.nan
