"""Shapes of annotation tools, and the upright boxes around them; a shape without an area has none."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from slipway.artifacts.dataset import Finding
from slipway.dataset.annotations import LabeledBox
from slipway.dataset.boxes import Box, turned_bounds


@dataclass(frozen=True, slots=True)
class Shape:
    """One drawn object.

    Attributes:
      kind: The tool's name of the shape; `box` is an upright box, or a turned one.
      box: Bounds of the shape before it is turned; None for a shape that is left out.
      rotation: Degrees about the centre of the box.
    """

    label: str
    kind: str
    box: Box | None
    rotation: float = 0.0


def read_shapes(shapes: Iterable[Shape], file: str) -> tuple[tuple[LabeledBox, ...], tuple[Finding, ...]]:
    """Return the boxes of an image's shapes, and a finding on each shape that is not an upright box."""
    boxes: list[LabeledBox] = []
    findings: list[Finding] = []
    for index, shape in enumerate(shapes):
        subject = f"object {index} ({shape.label!r})"
        if shape.box is None:
            message = f"{subject} has the shape {shape.kind}, which has no box"
            findings.append(Finding("shape_left_out", "warning", file, None, message, "left out"))
            continue
        if shape.kind != "box":
            message = f"{subject} is a {shape.kind}"
            findings.append(Finding("shape_bounded", "info", file, None, message, "its bounds were taken"))
        if shape.rotation % 180:
            message = f"{subject} is turned by {shape.rotation:g}°"
            findings.append(Finding("box_turned", "info", file, None, message, "its bounds were taken"))
        boxes.append(LabeledBox(shape.label, turned_box(shape.box, shape.rotation)))
    return tuple(boxes), tuple(findings)


def turned_box(box: Box, degrees: float) -> Box:
    """Return the bounds of a box that is turned about its centre; the box itself for half a turn."""
    if degrees % 180 == 0:
        return box
    x, y = (box.xmin + box.xmax) / 2, (box.ymin + box.ymax) / 2
    return turned_bounds(x, y, box.width, box.height, math.radians(degrees))
