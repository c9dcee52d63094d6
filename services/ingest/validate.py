"""The checks of boxes and of whole datasets: returns what can be trained on, and a finding for each fault."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace

from slipway.artifacts.dataset import Finding, Severity
from slipway.dataset.annotations import AnnotatedImage, LabeledBox
from slipway.dataset.boxes import Box, ImageSize, clip, overhang
from slipway.dataset.labels import LabelMap
from slipway.text import format_count

# Annotation tools round, and resized images are rounded again. A box that leaves the image by no more than this is
# clipped; one that leaves it farther was drawn on another image.
_OVERHANG_PIXELS = 2.0
_OVERHANG_SHARE = 0.01
_TAG = re.compile(r"<(name|size|filename|[xy]m(?:in|ax))>")
_PRECISION = 0.01  # pixels; shares of the image with six decimals are as exact in images of up to 10,000 pixels
_SHARE_ROUNDING = 0.01
_SMALLEST_SIDE = 1.0  # pixels


def check_boxes(
    boxes: Sequence[LabeledBox],
    size: ImageSize,
    labels: LabelMap | None,
    file: str,
    refused: Container[int | None] = (),
) -> tuple[list[LabeledBox], list[Finding]]:
    """Return the boxes that lie in the image and have an accepted label; those that overhang by a rounding are clipped.

    Args:
      size: Of the stored image.
      labels: The given label map; None accepts every label.
      refused: Indices of boxes that have a fault already.
    """
    usable: list[LabeledBox] = []
    findings: list[Finding] = []
    labels_of: dict[Box, list[str]] = defaultdict(list)
    has_shares = are_relative(boxes)
    for index, labeled_box in enumerate(boxes):
        if index in refused:
            continue
        fault = _check_label(labeled_box, labels) or (_check_share(labeled_box.box) if has_shares else None)
        fault = fault or _check_box(labeled_box, size)
        if fault is None or fault.is_usable:
            clipped_box = replace(labeled_box, box=clip(labeled_box.box, size))
            fault = _check_repeated(clipped_box.label, labels_of[clipped_box.box]) or fault
            if clipped_box.label not in labels_of[clipped_box.box]:
                usable.append(clipped_box)
            labels_of[clipped_box.box].append(clipped_box.label)
        if fault is not None:
            findings.append(_report(fault, labeled_box, index, file))
    return usable, findings


def _check_repeated(label: str, earlier_labels: Sequence[str]) -> "_Fault | None":
    """Check whether an object has the box of an earlier one, with the same label or with another."""
    if label in earlier_labels:
        return _Fault("duplicate_box", "info", "is there twice", "the second was dropped")
    if earlier_labels:
        action = "both are kept; remove the wrong one, or only one of them can be found"
        return _Fault("box_two_labels", "warning", f"has the box of an object {earlier_labels[0]!r}", action)
    return None


def words_for(file: str, text: str) -> str:
    """Return a text on an XML file as it is; for a file of another format, without its tags and without its name."""
    if file.lower().endswith(".xml"):
        return text
    return _TAG.sub(r"\1", text).replace("the xml", "the annotation").replace("its xml", "its annotation")


def are_relative(boxes: Sequence[LabeledBox]) -> bool:
    """Check whether all boxes with an area lie between 0 and 1, which are shares of an image rather than pixels."""
    sides = [side for labeled_box in boxes if not labeled_box.box.is_empty for side in labeled_box.box]
    return bool(sides) and all(-_SHARE_ROUNDING <= side <= 1 + _SHARE_ROUNDING for side in sides)


def overhangs_by_rounding(pixels: float, size: ImageSize) -> bool:
    """Check whether a box leaves an image by no more than annotation tools round."""
    return not pixels > max(_OVERHANG_PIXELS, _OVERHANG_SHARE * max(size))


def _report(fault: "_Fault", labeled_box: LabeledBox, index: int, file: str) -> Finding:
    message = f"object {index} ({labeled_box.label!r}) {words_for(file, fault.message)}"
    box = None if any(map(math.isnan, labeled_box.box)) else labeled_box.box
    return Finding(fault.code, fault.severity, file, index, message, words_for(file, fault.action), box)


@dataclass(frozen=True, slots=True)
class _Fault:
    code: str
    severity: Severity
    message: str
    action: str
    is_usable: bool = False


def _check_label(labeled_box: LabeledBox, labels: LabelMap | None) -> _Fault | None:
    if not labeled_box.label:
        return _Fault("label_missing", "error", "has no <name>", "name it in the xml")
    if labels is not None and labeled_box.label not in labels:
        message = f"has a label that the label map lacks; it has {', '.join(labels.names)}"
        return _Fault("label_unknown", "error", message, "rename it or add the label")
    return None


def _check_share(box: Box) -> _Fault | None:
    if box.is_empty:
        return None
    corners = ", ".join(f"{tag}={side:g}" for tag, side in zip(Box._fields, box, strict=True))
    message = f"has shares of the image instead of pixels: {corners}"
    return _Fault("box_relative", "error", message, "write x times the image's width, and y times its height")


def _check_box(labeled_box: LabeledBox, size: ImageSize) -> _Fault | None:
    box = labeled_box.box
    tags = [tag for tag, value in zip(Box._fields, box, strict=True) if math.isnan(value)]
    if tags:
        return _Fault("box_not_a_number", "error", f"has no number in <{tags[0]}>", "redraw the box")
    for low, high in (("xmin", "xmax"), ("ymin", "ymax")):
        if getattr(box, low) > getattr(box, high):
            message = f"has {low}={getattr(box, low):g} above {high}={getattr(box, high):g}"
            return _Fault("box_swapped", "error", message, f"swap {low} and {high} in the xml, or redraw the box")
    if box.is_empty:
        message = f"is {box.width:g} × {box.height:g} pixels at x={box.xmin:g}, y={box.ymin:g}"
        return _Fault("box_empty", "warning", message, "dropped: nothing can be learnt from it")
    return _check_position(box, size)


def _check_position(box: Box, size: ImageSize) -> _Fault | None:
    pixels = overhang(box, size)
    if clip(box, size).is_empty or not overhangs_by_rounding(pixels, size):
        return _Fault("box_outside", "error", _farthest_side(box, size), "redraw the box or fix <size> in the xml")
    if pixels >= _PRECISION:
        return _Fault("box_overhang", "warning", _farthest_side(box, size), "clipped to the image", is_usable=True)
    if min(box.width, box.height) < _SMALLEST_SIDE:
        message = f"is {box.width:g} × {box.height:g} pixels at x={box.xmin:g}, y={box.ymin:g}"
        return _Fault("box_tiny", "warning", message, "kept: look at it", is_usable=True)
    return None


def _farthest_side(box: Box, size: ImageSize) -> str:
    """Name the side on which the box leaves the image farthest."""
    sides = {
        f"begins at x={box.xmin:g}, left of the image": -box.xmin,
        f"begins at y={box.ymin:g}, above the image": -box.ymin,
        f"ends at x={box.xmax:g}, image width is {size.width}": box.xmax - size.width,
        f"ends at y={box.ymax:g}, image height is {size.height}": box.ymax - size.height,
    }
    return max(sides, key=lambda text: sides[text])


def check_dataset(splits: Mapping[str, Sequence[AnnotatedImage]]) -> list[Finding]:
    """Check the images together: find those with equal bytes, and labels that differ only in case or spaces."""
    first_images: dict[str, tuple[str, str]] = {}
    counts: Counter[str] = Counter()
    first_files: dict[str, str] = {}
    findings: list[Finding] = []
    for split, images in splits.items():
        for image in images:
            first_split, first_file = first_images.setdefault(image.sha256, (split, image.filename))
            if first_file != image.filename:
                findings.append(_duplicate(image.filename, split, first_file, first_split))
            for labeled_box in image.boxes:
                counts[labeled_box.label] += 1
                first_files.setdefault(labeled_box.label, image.filename)
    return findings + _similar_labels(counts, first_files)


def _duplicate(file: str, split: str, first_file: str, first_split: str) -> Finding:
    if split == first_split:
        message = f"has the same bytes as {first_file}"
        action = "both are kept; remove one, or it counts twice"
        return Finding("duplicate_image", "warning", file, None, message, action)
    message = f"is in {split}, and {first_file} with the same bytes is in {first_split}"
    action = "both are kept, which flatters what is measured; remove one"
    return Finding("duplicate_across_splits", "warning", file, None, message, action)


def _similar_labels(counts: Counter[str], first_files: Mapping[str, str]) -> list[Finding]:
    spellings: dict[str, list[str]] = {}
    for label in sorted(counts, key=lambda label: (-counts[label], label)):
        spellings.setdefault("".join(label.casefold().split()), []).append(label)
    return [
        Finding(
            "label_spelling",
            "warning",
            first_files[rare],
            None,
            f"label {rare!r} ({format_count(counts[rare], 'box')}) is spelled like "
            f"{usual!r} ({format_count(counts[usual], 'box')}), but for {_difference(rare, usual)}",
            "both are kept as two classes; rename one if they are the same",
        )
        for usual, *rarer in spellings.values()
        for rare in rarer
    ]


def _difference(label: str, usual_label: str) -> str:
    """Name the difference of two labels that have the same letters."""
    if label.casefold() == usual_label.casefold():
        return "case"
    return "spaces" if "".join(label.split()) == "".join(usual_label.split()) else "case and spaces"
