"""One annotation file → one checked image with its boxes, and what was found on the way."""

import hashlib
from dataclasses import dataclass, replace

from slipway.dataset.annotations import AnnotatedImage, LabeledBox
from slipway.dataset.labels import LabelMap
from slipway.dataset.source_folder import read_file
from slipway.errors import AnnotationError
from slipway.store.interface import ObjectStore

from services.ingest.formats import Annotation
from services.ingest.formats.voc import parse_voc
from services.ingest.repair import BrokenImage, Picture, read_picture, upright_box
from services.ingest.source_layout import Layout, Unmatched, stem, suffix
from services.ingest.validate import Finding, check_boxes

_SUFFIXES = {"jpeg": {".jpg", ".jpeg", ".jpe"}, "png": {".png"}}


@dataclass(frozen=True)
class Examined:
    """What became of one annotation file.

    Attributes:
      key: Of the image; empty when none was found.
      image: None when nothing of it can be used; its `source_id` is still to be filled in.
      content: The bytes to store.
    """

    file: str
    key: str
    image: AnnotatedImage | None
    content: bytes
    findings: list[Finding]


def examine(file: str, source: ObjectStore, layout: Layout, labels: LabelMap | None) -> Examined:
    """Read an annotation and its image, and keep what can be trained on."""

    def failed(key: str, *finding: str) -> Examined:
        code, about, message, action = finding
        return Examined(file, key, None, b"", [Finding(code, "error", about, None, message, action)])

    try:
        annotation = parse_voc(read_file(source, file), file)
    except AnnotationError as error:
        key = layout.image_named_as(file)
        return failed(key, "xml_malformed", file, str(error), "repair the xml, or draw the boxes again")
    try:
        key = layout.image_of(file, annotation.filename)
    except Unmatched as error:
        return failed("", error.code, file, str(error), "add the image, correct <filename> or remove the xml")
    try:
        picture = read_picture(read_file(source, key))
    except BrokenImage as error:
        return failed(key, error.code, key, str(error), "replace the image, or remove it with its xml")
    boxes, found = check_boxes(_upright(annotation, picture), picture.size, labels, file)
    sha256 = hashlib.sha256(picture.content).hexdigest()
    image = AnnotatedImage(key, 0, sha256, picture.format, picture.size, tuple(boxes))
    found = [*_of_picture(key, picture), *_of_annotation(key, picture, annotation), *found]
    return Examined(file, key, image, picture.content, found)


def _upright(annotation: Annotation, picture: Picture) -> tuple[LabeledBox, ...]:
    """Turn the boxes with the picture, when the annotation's size says that they were drawn on the raw one."""
    if picture.orientation == 1 or annotation.size != picture.raw_size or picture.raw_size == picture.size:
        return annotation.boxes
    return tuple(
        replace(labeled, box=upright_box(labeled.box, picture.raw_size, picture.orientation))
        for labeled in annotation.boxes
    )


def _of_picture(key: str, picture: Picture) -> list[Finding]:
    """Say what was done with the image file."""
    found = []
    if picture.is_first_of_many:
        text = "holds more than one picture"
        found.append(Finding("first_picture_used", "info", key, None, text, "the first was used"))
    if picture.was.lower() not in ("", picture.format, "mpo"):
        text = f"is {picture.was}, which training cannot read"
        found.append(Finding("format_converted", "info", key, None, text, "stored as PNG, 8 bits a channel"))
    elif suffix(key) not in _SUFFIXES[picture.format]:
        text = f"is {picture.format.upper()} under the name of {suffix(key)}"
        found.append(Finding("extension_mismatch", "info", key, None, text, "read as what it is"))
    return found


def _of_annotation(key: str, picture: Picture, annotation: Annotation) -> list[Finding]:
    """Say where the annotation contradicts its image, and what was taken to be right."""
    found = [_of_orientation(key, picture, annotation)] if picture.orientation != 1 else []
    if annotation.size not in (picture.size, picture.raw_size):
        says = f"{annotation.size.width} × {annotation.size.height}" if annotation.size else "nothing"
        text = f"<size> says {says}, the image is {picture.size.width} × {picture.size.height}"
        found.append(Finding("size_mismatch", "warning", annotation.file, None, text, "the image's own size was used"))
    if annotation.filename and stem(annotation.filename.replace("\\", "/")).lower() != stem(key).lower():
        text = f"<filename> says {annotation.filename!r}, which is not there"
        found.append(Finding("filename_mismatch", "info", annotation.file, None, text, f"{key} was used"))
    return found


def _of_orientation(key: str, picture: Picture, annotation: Annotation) -> Finding:
    text = f"is stored turned (EXIF orientation {picture.orientation})"
    if picture.raw_size == picture.size:  # half a turn, or a square: nothing tells how the boxes were drawn
        action = "stored upright; boxes taken as drawn upright, look at them"
        return Finding("exif_rotated", "warning", key, None, text, action)
    how = "its boxes turned with it" if annotation.size == picture.raw_size else "boxes taken as drawn upright"
    return Finding("exif_rotated", "info", key, None, text, f"stored upright, {how}")
