"""One annotation file → one checked image with its boxes, and what was found on the way."""

from dataclasses import dataclass, replace

from slipway.annotations import AnnotatedImage, LabeledBox
from slipway.errors import AnnotationError
from slipway.labels import LabelMap
from slipway.source import read_file
from slipway.store import ObjectStore

from services.ingest.formats import Annotation
from services.ingest.formats.voc import parse_voc
from services.ingest.layout import Layout, stem, suffix
from services.ingest.repair import BrokenImage, Picture, read_picture, upright_box
from services.ingest.validate import Finding, Severity, check_boxes

_SUFFIXES = {"JPEG": {".jpg", ".jpeg", ".jpe"}, "PNG": {".png"}}


@dataclass(frozen=True)
class Examined:
    """What became of one annotation file.

    Attributes:
      key: Of the image; empty when none was found.
      image: None when nothing of it can be used; its `sha256` and `source_id` are still to be filled in.
      content: The bytes to store.
    """

    file: str
    key: str
    image: AnnotatedImage | None
    content: bytes
    findings: list[Finding]


def examine(file: str, source: ObjectStore, layout: Layout, labels: LabelMap | None) -> Examined:
    """Read an annotation and its image, and keep what can be trained on."""

    def failed(code: str, message: str, action: str, key: str = "") -> Examined:
        return Examined(file, key, None, b"", [Finding(code, "error", key or file, None, message, action)])

    try:
        annotation = parse_voc(read_file(source, file), file)
    except AnnotationError as error:
        return failed("xml_malformed", str(error), "repair the xml, or draw the boxes again")
    try:
        key = layout.image_of(file, annotation.filename)
    except AnnotationError as error:
        code = "image_ambiguous" if " can be " in str(error) else "image_missing"
        return failed(code, str(error), "add the image, correct <filename> or remove the xml")
    try:
        picture = read_picture(read_file(source, key))
    except BrokenImage as error:
        return failed(error.code, str(error), "replace the image, or remove it with its xml", key)
    boxes, found = check_boxes(_upright(annotation, picture), picture.size, labels, file)
    image = AnnotatedImage(key, 0, "", picture.format, picture.size, tuple(boxes))
    return Examined(file, key, image, picture.content, _of_picture(key, picture, annotation) + found)


def _upright(annotation: Annotation, picture: Picture) -> tuple[LabeledBox, ...]:
    """Turn the boxes with the picture, when the annotation's size says that they were drawn on the raw one."""
    if picture.orientation == 1 or annotation.size != picture.raw_size or picture.raw_size == picture.size:
        return annotation.boxes
    return tuple(
        replace(labeled, box=upright_box(labeled.box, picture.raw_size, picture.orientation))
        for labeled in annotation.boxes
    )


def _of_picture(key: str, picture: Picture, annotation: Annotation) -> list[Finding]:
    found = []
    if picture.orientation != 1:
        turned = annotation.size == picture.raw_size != picture.size
        text = f"is stored turned (EXIF orientation {picture.orientation})"
        action = (
            "stored upright, its boxes turned with it" if turned else "stored upright; boxes taken as drawn upright"
        )
        # Half a turn or a square leaves the size as it is, so nothing tells how the boxes were drawn.
        severity: Severity = "warning" if picture.raw_size == picture.size else "info"
        found.append(Finding("exif_rotated", severity, key, None, text, action))
    elif picture.was:
        text = f"is {picture.was}, which training cannot read"
        found.append(Finding("format_converted", "info", key, None, text, "stored as PNG without loss"))
    elif suffix(key) not in _SUFFIXES[picture.format.upper()]:
        text = f"is {picture.format.upper()} under the name of {suffix(key)}"
        found.append(Finding("extension_mismatch", "info", key, None, text, "read as what it is"))
    if annotation.size is None or annotation.size not in (picture.size, picture.raw_size):
        says = f"{annotation.size.width} × {annotation.size.height}" if annotation.size else "nothing"
        text = f"<size> says {says}, the image is {picture.size.width} × {picture.size.height}"
        found.append(Finding("size_mismatch", "warning", annotation.file, None, text, "the image's own size was used"))
    if annotation.filename and stem(annotation.filename.replace("\\", "/")).lower() != stem(key).lower():
        text = f"<filename> says {annotation.filename!r}, which is not there"
        found.append(Finding("filename_mismatch", "info", annotation.file, None, text, f"{key} was used"))
    return found
