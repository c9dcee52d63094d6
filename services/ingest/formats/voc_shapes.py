"""The shapes of one VOC object: boxes, turned boxes and polygons, each as the upright box around it.

labelImg writes `<bndbox>`, roLabelImg `<robndbox>`, CVAT a box with its rotation among the attributes, and LabelMe a
polygon.
"""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from slipway.artifacts.dataset import Severity
from slipway.dataset.boxes import Box, bounds, turned_bounds

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

Note = tuple[str, Severity, str, str]  # code, severity, message and action of a finding about the object

_TURNED_CORNERS = ("cx", "cy", "w", "h", "angle")
_SHAPES = ("robndbox", "polygon")
_CORNERS = set(Box._fields)
_ANGLES = ("rotation", "angle", "theta")  # tags in which tools write an angle without saying its unit
_NO_BOX = Box(math.nan, math.nan, math.nan, math.nan)


def read_shapes(item: "Element") -> tuple[list[Box], list[Note]]:
    """Return the boxes of an object, at least one, and a note on all that is not an upright box.

    A coordinate that is absent, repeated or not a number is NaN. With a note of severity `error` no box can be used.
    """
    if _is_plain(item):
        return [Box(*(number(item.find("bndbox"), tag) for tag in Box._fields))], []
    rectangles = [child for child in item if is_rectangle(child)] or ([item] if is_rectangle(item) else [])
    others = [child for child in item if child.tag in _SHAPES and child not in rectangles]
    if rectangles:
        boxes, notes = _read_rectangles(rectangles, item)
        return boxes, notes + [
            ("shape_left_out", "info", f"has a <{other.tag}> besides its box", "the box was used") for other in others
        ]
    if len(others) == 1:
        return _read_shape(others[0])
    tags = " ".join(f"<{child.tag}>" for child in item)
    message = f"has {len(others)} shapes" if others else f"has no <bndbox>{', but ' if tags else ''}{tags}"
    return [_NO_BOX], [("box_missing", "error", message, "draw one box for it, or remove it")]


def _is_plain(item: "Element") -> bool:
    """Check whether an object is as labelImg writes it, with one box and nothing else to look at: most are."""
    nested = [child for child in item if len(child)]
    if len(nested) != 1 or nested[0].tag != "bndbox" or len(nested[0]) != len(_CORNERS):
        return False
    has_shapes = any(child.tag in _SHAPES or child.tag in _ANGLES for child in item)
    return not has_shapes and {child.tag for child in nested[0]} == _CORNERS


def is_rectangle(element: "Element") -> bool:
    """Check whether an element holds corners, whatever its tag."""
    return element.tag == "bndbox" or (len(element) >= len(_CORNERS) and {child.tag for child in element} >= _CORNERS)


def is_shape(element: "Element") -> bool:
    return element.tag in _SHAPES or is_rectangle(element)


def _read_rectangles(rectangles: list["Element"], item: "Element") -> tuple[list[Box], list[Note]]:
    boxes = [Box(*(number(rectangle, tag) for tag in Box._fields)) for rectangle in rectangles]
    notes = [note for rectangle in rectangles for note in _check_corners(rectangle)]
    if len(boxes) > 1:
        notes.append(("boxes_in_object", "info", f"has {len(boxes)} boxes", "each was read as an object of its own"))
    notes += [
        ("angle_unknown", "error", f"has <{tag}> {_text(element, tag)} in an unknown unit", "draw an upright box")
        for element in dict.fromkeys([item, *rectangles])
        for tag in _ANGLES
        if abs(number(element, tag)) > 0
    ]
    degrees = _rotation(item)
    if degrees % 180 == 0:
        return boxes, notes
    angle = math.radians(degrees)
    centres = [((box.xmin + box.xmax) / 2, (box.ymin + box.ymax) / 2) for box in boxes]
    turned_boxes = [
        turned_bounds(*centre, box.width, box.height, angle) for centre, box in zip(centres, boxes, strict=True)
    ]
    return turned_boxes, [*notes, _turned(f"is turned by {degrees:g}°")]


def _check_corners(rectangle: "Element") -> list[Note]:
    tags = [child.tag for child in rectangle]
    if tags and not set(Box._fields) & set(tags):
        message = f"has <{'>, <'.join(dict.fromkeys(tags))}> in its <bndbox>, expected <{'>, <'.join(Box._fields)}>"
        return [("box_not_a_number", "error", message, "write the corners in pixels")]
    return [
        ("box_not_a_number", "error", f"has {len(numbers)} different <{tag}>: {', '.join(numbers)}", "leave one")
        for tag in Box._fields
        for numbers in [texts(rectangle, tag)]
        if len(numbers) > 1
    ]


def _rotation(item: "Element") -> float:
    """Return the rotation in degrees that CVAT writes among an object's attributes; 0 without one."""
    for attribute in item.iterfind("attributes/attribute"):
        if _text(attribute, "name").lower() == "rotation":
            degrees = number(attribute, "value")
            return 0.0 if math.isnan(degrees) else degrees
    return 0.0


def _read_shape(element: "Element") -> tuple[list[Box], list[Note]]:
    if element.tag == "robndbox":
        x, y, width, height, angle = (number(element, tag) for tag in _TURNED_CORNERS)
        return [turned_bounds(x, y, width, height, angle)], [_turned(f"is turned by {math.degrees(angle):.0f}°")]
    xs, ys = (_coordinates(element.iter(), axis) for axis in "xy")
    if len(xs) != len(ys) or len(xs) < 3:
        message = f"has a <{element.tag}> of {len(xs)} x and {len(ys)} y"
        return [_NO_BOX], [("box_missing", "error", message, "draw a box for it")]
    return [bounds(zip(xs, ys, strict=True))], [("shape_bounded", "info", "is a polygon", "its bounds were taken")]


def _turned(message: str) -> Note:
    return "box_turned", "info", message, "its bounds were taken"


def _coordinates(elements: Iterable["Element"], axis: str) -> list[float]:
    """Return the numbers in <x>, <x1>, <x2> …, or the same of y."""
    return [
        _to_number(element.text or "")
        for element in elements
        if element.tag[:1] == axis and (element.tag[1:] or "0").isdigit()
    ]


def number(element: "Element | None", tag: str) -> float:
    """Return the finite number that a child holds; NaN if it is absent, repeated with another text or not a number."""
    numbers = texts(element, tag) if element is not None else []
    return _to_number(numbers[0]) if len(numbers) == 1 else math.nan


def _to_number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def texts(element: "Element", tag: str) -> list[str]:
    """Return the different texts of an element's children of this tag, in their order."""
    all_texts = [(child.text or "").strip() for child in element if child.tag == tag]
    return all_texts if len(all_texts) < 2 else list(dict.fromkeys(all_texts))


def _text(element: "Element", tag: str) -> str:
    return ", ".join(texts(element, tag))
