"""Annotation and image → the boxes that can be trained on, and a finding for everything that is not as it should be."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from slipway.dataset.annotations import AnnotatedImage, LabeledBox
from slipway.dataset.boxes import Box, ImageSize, clip, overhang
from slipway.dataset.labels import LabelMap

Severity = Literal["error", "warning", "info"]

# Tools round, and resized pictures round again: so much beyond the edge is clipped, more is a box of another image.
_OVERHANG_PIXELS = 2.0
_OVERHANG_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a person should know about one file.

    Attributes:
      code: A fixed word, by which findings are counted.
      severity: `error` cannot be used, `warning` was repaired or dropped or looks wrong, `info` was put right.
      file: Key in the source.
      object: Index of the drawn object in its file, from 0; None when it is about the whole file.
      message: What is there, and what was expected.
      action: What was done, or is to be done, about it.
    """

    code: str
    severity: Severity
    file: str
    object: int | None
    message: str
    action: str

    def __str__(self) -> str:
        return f"{self.file}: {self.message}; {self.action}"

    def row(self) -> dict[str, Any]:
        return asdict(self)


def check_boxes(
    boxes: Sequence[LabeledBox], size: ImageSize, labels: LabelMap | None, file: str
) -> tuple[list[LabeledBox], list[Finding]]:
    """Keep the boxes that lie in the image and have a known label; clip those that leave it by a rounding.

    Args:
      size: Of the stored image.
      labels: The given label map; None when every label is welcome.
    """
    kept: list[LabeledBox] = []
    findings: list[Finding] = []
    seen: set[tuple[str, Box]] = set()
    for index, labeled in enumerate(boxes):
        fault = _check_label(labeled, labels) or _check_box(labeled, size)
        if fault is None or fault.code == "box_overhang":
            fitting = replace(labeled, box=clip(labeled.box, size))
            if (fitting.label, fitting.box) in seen:
                fault = _Fault("duplicate_box", "info", "is there twice", "the second was dropped")
            else:
                kept.append(fitting)
            seen.add((fitting.label, fitting.box))
        if fault is not None:
            what = f"object {index} ({labeled.label!r}) {fault.message}"
            findings.append(Finding(fault.code, fault.severity, file, index, what, fault.action))
    return kept, findings


@dataclass(frozen=True, slots=True)
class _Fault:
    code: str
    severity: Severity
    message: str
    action: str


def _check_label(labeled: LabeledBox, labels: LabelMap | None) -> _Fault | None:
    if not labeled.label:
        return _Fault("label_missing", "error", "has no <name>", "name it in the xml")
    if labels is not None and labeled.label not in labels:
        known = ", ".join(labels.names)
        return _Fault(
            "label_unknown",
            "error",
            f"has a label that the label map lacks; it has {known}",
            "rename it or add the label",
        )
    return None


def _check_box(labeled: LabeledBox, size: ImageSize) -> _Fault | None:
    box = labeled.box
    absent = [tag for tag, value in zip(Box._fields, box, strict=True) if math.isnan(value)]
    if absent:
        return _Fault("box_not_a_number", "error", f"has no number in <{absent[0]}>", "redraw the box")
    for low, high in (("xmin", "xmax"), ("ymin", "ymax")):
        if getattr(box, low) > getattr(box, high):
            text = f"has {low}={getattr(box, low):g} above {high}={getattr(box, high):g}"
            return _Fault("box_swapped", "error", text, f"swap {low} and {high} in the xml, or redraw the box")
    if box.is_empty:
        text = f"is {box.width:g} × {box.height:g} pixels at x={box.xmin:g}, y={box.ymin:g}"
        return _Fault("box_empty", "warning", text, "dropped: nothing can be learnt from it")
    beyond = overhang(box, size)
    if beyond == 0:
        return None
    where = _leaves(box, size)
    if clip(box, size).is_empty or beyond > max(_OVERHANG_PIXELS, _OVERHANG_SHARE * max(size)):
        return _Fault("box_outside", "error", where, "redraw the box or fix <size> in the xml")
    return _Fault("box_overhang", "warning", where, "clipped to the image")


def _leaves(box: Box, size: ImageSize) -> str:
    """Name the side by which the box leaves the image farthest."""
    sides = {
        f"begins at x={box.xmin:g}, left of the image": -box.xmin,
        f"begins at y={box.ymin:g}, above the image": -box.ymin,
        f"ends at x={box.xmax:g}, image width is {size.width}": box.xmax - size.width,
        f"ends at y={box.ymax:g}, image height is {size.height}": box.ymax - size.height,
    }
    return max(sides, key=lambda text: sides[text])


def check_dataset(splits: Mapping[str, Sequence[AnnotatedImage]]) -> list[Finding]:
    """Look for what only shows in all images together: pictures that are there twice, labels spelled in two ways."""
    first: dict[str, tuple[str, str]] = {}
    counts: Counter[str] = Counter()
    where: dict[str, str] = {}
    findings: list[Finding] = []
    for split, images in splits.items():
        for image in images:
            other_split, other = first.setdefault(image.sha256, (split, image.filename))
            if other != image.filename:
                findings.append(_twin(image.filename, split, other, other_split))
            for labeled in image.boxes:
                counts[labeled.label] += 1
                where.setdefault(labeled.label, image.filename)
    return findings + _alike(counts, where)


def _twin(file: str, split: str, other: str, other_split: str) -> Finding:
    if split == other_split:
        text = f"has the same bytes as {other}"
        return Finding("duplicate_image", "warning", file, None, text, "both are kept; remove one, or it counts twice")
    text = f"is in {split}, and {other} with the same bytes is in {other_split}"
    action = "both are kept, which flatters what is measured; remove one"
    return Finding("duplicate_across_splits", "warning", file, None, text, action)


def _alike(counts: Counter[str], where: dict[str, str]) -> list[Finding]:
    spellings: dict[str, list[str]] = {}
    for label in sorted(counts, key=lambda label: (-counts[label], label)):
        spellings.setdefault("".join(label.casefold().split()), []).append(label)
    return [
        Finding(
            "label_spelling",
            "warning",
            where[other],
            None,
            f"label {other!r} ({counts[other]} boxes) is spelled like {usual!r} ({counts[usual]} boxes), but for case",
            "both are kept as two classes; rename one if they are the same",
        )
        for usual, *others in spellings.values()
        for other in others
    ]
