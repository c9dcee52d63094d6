"""The boxes of an annotation on the stored image: turned and scaled with it, as the annotation's size shows.

An annotation gives the size of the image that its boxes were drawn on. If the image was turned or resized since, the
boxes are turned or scaled alike. Only boxes that lie within that size are: if one leaves it, the size is wrong.
"""

from collections.abc import Sequence
from dataclasses import replace

from slipway.artifacts.dataset import Finding
from slipway.dataset.annotations import LabeledBox
from slipway.dataset.boxes import Box, ImageSize, overhang

from services.ingest.formats import Annotation
from services.ingest.repair import Picture, upright_box
from services.ingest.validate import are_relative, overhangs_by_rounding

_ROUNDING = 2  # pixels: sizes that differ by no more are the same, written by another program


def drawn_boxes(annotation: Annotation, picture: Picture) -> tuple[tuple[LabeledBox, ...], list[Finding]]:
    """Return an annotation's boxes in pixels of the stored image, and a finding if its size is another."""
    boxes, size = annotation.boxes, annotation.size
    if annotation.is_relative:
        return _scaled(boxes, picture.size.width, picture.size.height), []
    if size == picture.raw_size and picture.raw_size != picture.size:
        return _upright(boxes, picture), []
    if size == picture.size or size is None:
        return boxes, []
    if not boxes or not _lie_within(boxes, size) or are_relative(boxes):
        return boxes, [_finding("size_mismatch", annotation, picture, "the image's own size was used")]
    return _on_resized(annotation, size, picture)


def _on_resized(
    annotation: Annotation, size: ImageSize, picture: Picture
) -> tuple[tuple[LabeledBox, ...], list[Finding]]:
    """Return the boxes, all of which lie within a size that the image does not have."""
    boxes = annotation.boxes
    for stored_size in (picture.size, picture.raw_size):
        if _is_resized(size, stored_size):
            x, y = stored_size.width / size.width, stored_size.height / size.height
            boxes = _scaled(boxes, x, y)
            finding = _finding("boxes_scaled", annotation, picture, f"the boxes were scaled by {x:.3g}")
            return boxes if stored_size == picture.size else _upright(boxes, picture), [finding]
    if _lie_within(boxes, picture.size):
        action = "the boxes were taken as drawn on the image: look at them"
        return boxes, [_finding("size_mismatch", annotation, picture, action)]
    finding = _finding("drawn_on_another_size", annotation, picture, "draw them again, or give the image that they fit")
    return boxes, [replace(finding, severity="error")]


def _finding(code: str, annotation: Annotation, picture: Picture, action: str) -> Finding:
    width, height = annotation.size or (0, 0)
    verb = "<size> says" if code == "size_mismatch" else "boxes were drawn on"
    message = f"{verb} {width} × {height}, the image is {picture.size.width} × {picture.size.height}"
    return Finding(code, "warning", annotation.file, None, message, action)


def _is_resized(size: ImageSize, stored: ImageSize) -> bool:
    """Check whether an image of one size was resized to the other, each side rounded to a pixel."""
    if all(abs(one - other) <= _ROUNDING for one, other in zip(size, stored, strict=True)):
        return False
    factor = stored.width / size.width
    return abs(size.height * factor - stored.height) <= max(1.0, factor)


def _lie_within(boxes: Sequence[LabeledBox], size: ImageSize) -> bool:
    return all(overhangs_by_rounding(overhang(item.box, size), size) for item in boxes)


def _scaled(boxes: Sequence[LabeledBox], x: float, y: float) -> tuple[LabeledBox, ...]:
    return tuple(
        replace(item, box=Box(*(side * factor for side, factor in zip(item.box, (x, y, x, y), strict=True))))
        for item in boxes
    )


def _upright(boxes: Sequence[LabeledBox], picture: Picture) -> tuple[LabeledBox, ...]:
    return tuple(replace(item, box=upright_box(item.box, picture.raw_size, picture.orientation)) for item in boxes)
