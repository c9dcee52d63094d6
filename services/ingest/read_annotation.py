"""The import of one image's annotation: its image, checked and upright, with the boxes that can be used."""

import hashlib
import posixpath
from dataclasses import dataclass, replace
from urllib.parse import unquote

from slipway.artifacts.dataset import Finding
from slipway.dataset.annotations import AnnotatedImage, LabeledBox
from slipway.dataset.boxes import ImageSize, clip
from slipway.dataset.labels import LabelMap
from slipway.dataset.source_folder import read_file
from slipway.errors import AnnotationError
from slipway.store.interface import ObjectStore

from services.ingest.formats import Annotation, PendingAnnotation
from services.ingest.images import BrokenImage
from services.ingest.images.drawn_boxes import drawn_boxes
from services.ingest.label_spelling import spelled_as
from services.ingest.repair import Picture, read_picture
from services.ingest.source_layout import JPEG_SUFFIXES, SourceLayout, UnmatchedAnnotation, stem, suffix
from services.ingest.source_names import fold
from services.ingest.validate import check_boxes, words_for

_SUFFIXES = {"jpeg": JPEG_SUFFIXES, "png": {".png", ".apng"}}

# Findings on boxes that cannot be used, or told from others: without them the image would be one of background.
_REFUSES_IMAGE = {"drawn_on_another_size", "box_not_read"}


@dataclass(frozen=True)
class ImportedAnnotation:
    """The annotation of one image with that image, or the finding that tells why it cannot be used.

    Attributes:
      file: As in `Annotation`.
      key: Of the image; empty when the source has none for the annotation.
      image: None when the annotation cannot be used; its `source_id` is 0 until the splits are known.
      content: The image's bytes as they are to be stored.
      split_name: Text that may name the image's split: the annotation's own, or the name of a file of several images.
    """

    file: str
    key: str
    image: AnnotatedImage | None
    content: bytes
    findings: list[Finding]
    split_name: str = ""


def read_annotation(
    pending: PendingAnnotation, source: ObjectStore, layout: SourceLayout, labels: LabelMap | None
) -> ImportedAnnotation:
    """Read an annotation and its image, and select the boxes that can be trained on."""
    file = pending.file
    try:
        annotation = pending.read()
    except AnnotationError as error:
        return _unusable(file, layout.image_named_as(file), _report_malformed(file, error))
    try:
        key, match_findings = _match_image(annotation, source, layout)
    except UnmatchedAnnotation as error:
        return _unusable(file, "", _report_unmatched(annotation, error))
    try:
        picture = read_picture(read_file(source, key))
    except BrokenImage as error:
        action = words_for(file, "replace the image, or remove it with its xml")
        return _unusable(file, key, Finding(error.code, "error", key, None, str(error), action))
    boxes, box_findings = _check_boxes(annotation, picture, labels)
    findings = [*match_findings, *_check_picture(key, picture), *_check_annotation(key, picture, annotation)]
    findings += box_findings
    if any(finding.code in _REFUSES_IMAGE for finding in box_findings):
        return ImportedAnnotation(file, key, None, b"", findings)
    sha256 = hashlib.sha256(picture.content).hexdigest()
    image = AnnotatedImage(key, 0, sha256, picture.format, picture.size, tuple(boxes))
    return ImportedAnnotation(file, key, image, picture.content, findings, annotation.split or annotation.shared_key)


def _check_boxes(
    annotation: Annotation, picture: Picture, labels: LabelMap | None
) -> tuple[list[LabeledBox], list[Finding]]:
    """Return the boxes that can be used, and all findings about them; some findings refuse the image as a whole."""
    boxes, size_findings = drawn_boxes(annotation, picture)
    findings = [*size_findings, *annotation.findings]
    if any(finding.code in _REFUSES_IMAGE for finding in findings):
        return [], findings  # what is wrong with the boxes follows from it
    refused = {finding.object for finding in findings if finding.severity == "error"}
    boxes = spelled_as(_clip_turned(boxes, annotation, picture), labels)
    usable, box_findings = check_boxes(boxes, picture.size, labels, annotation.file, refused)
    return usable, findings + box_findings


def _clip_turned(boxes: tuple[LabeledBox, ...], annotation: Annotation, picture: Picture) -> tuple[LabeledBox, ...]:
    """Cut the bounds of turned boxes to the image: their corners often leave it, and no object is there."""
    turned = {finding.object for finding in annotation.findings if finding.code == "box_turned"}
    clipped_boxes = [clip(labeled_box.box, picture.size) for labeled_box in boxes]
    return tuple(
        replace(labeled_box, box=clipped) if index in turned and not clipped.is_empty else labeled_box
        for index, (labeled_box, clipped) in enumerate(zip(boxes, clipped_boxes, strict=True))
    )


def _unusable(file: str, key: str, finding: Finding) -> ImportedAnnotation:
    return ImportedAnnotation(file, key, None, b"", [finding])


def _report_malformed(file: str, error: AnnotationError) -> Finding:
    if suffix(file) == ".xml":
        action = "correct the xml"
        return Finding("xml_malformed", "error", file, None, str(error), action)
    return Finding("annotation_malformed", "error", file, None, str(error), "repair the file, or export it again")


def _report_unmatched(annotation: Annotation, error: UnmatchedAnnotation) -> Finding:
    if error.code == "image_unreadable":
        return Finding(error.code, "error", annotation.file, None, str(error), "save it as JPEG or PNG")
    action = words_for(annotation.file, "add the image, correct <filename> or remove the xml")
    return Finding(error.code, "error", annotation.file, None, str(error), action)


def _file_near_image(annotation: Annotation) -> str:
    """Return the key from which the image is searched: a file of several images counts as one beside it per image."""
    if not annotation.shared_key:
        return annotation.file
    name = posixpath.basename(annotation.filename.replace("\\", "/"))
    return posixpath.join(posixpath.dirname(annotation.shared_key), name)


def _match_image(annotation: Annotation, source: ObjectStore, layout: SourceLayout) -> tuple[str, list[Finding]]:
    """Return the key of the annotation's image; of several that it may mean, the only one of the size that it gives."""
    hints = (posixpath.dirname(annotation.path.replace("\\", "/")), annotation.folder)
    try:
        return layout.image_of(_file_near_image(annotation), annotation.filename, hints), []
    except UnmatchedAnnotation as error:
        if error.code == "image_missing" and annotation.second_filename not in ("", annotation.filename):
            renamed = replace(annotation, filename=annotation.second_filename)
            return _match_image(renamed, source, layout)
        images = [key for key in error.images if _has_size(key, annotation.size, source)]
        if len(images) != 1:
            raise
        action = f"{images[0]} was used, the only one of the size that the annotation gives"
        return images[0], [Finding("image_ambiguous", "info", annotation.file, None, str(error), action)]


def _has_size(key: str, size: ImageSize | None, source: ObjectStore) -> bool:
    try:
        picture = read_picture(read_file(source, key))
    except BrokenImage:
        return False
    return size in (picture.size, picture.raw_size)


def _check_picture(key: str, picture: Picture) -> list[Finding]:
    """Report the changes that were made to the image file."""
    findings = [
        Finding(code, severity, key, None, message, action) for code, severity, message, action in picture.notes
    ]
    if picture.is_first_of_many:
        message = "holds more than one picture"
        findings.append(Finding("first_picture_used", "info", key, None, message, "the first was used"))
    if picture.original_format.lower() not in ("", picture.format, "mpo"):
        message = f"is {picture.original_format}, which training cannot read"
        findings.append(Finding("format_converted", "info", key, None, message, "stored as PNG, 8 bits a channel"))
    elif suffix(key) not in _SUFFIXES[picture.format]:
        message = f"is {picture.format.upper()} under the name of {suffix(key)}"
        findings.append(Finding("extension_mismatch", "info", key, None, message, "read as what it is"))
    return findings


def _check_annotation(key: str, picture: Picture, annotation: Annotation) -> list[Finding]:
    """Report where the annotation contradicts its image, and which of the two was used."""
    findings = [_report_orientation(key, picture, annotation)] if picture.orientation != 1 else []
    if annotation.size is None and suffix(annotation.file) == ".xml":
        message = f"<size> says nothing, the image is {picture.size.width} × {picture.size.height}"
        action = "the image's own size was used"
        findings.append(Finding("size_mismatch", "warning", annotation.file, None, message, action))
    names = [name.replace("\\", "/") for name in (annotation.filename, annotation.second_filename) if name]
    if names and fold(stem(key)) not in [fold(stem(form)) for name in names for form in (name, unquote(name))]:
        message = f"{words_for(annotation.file, '<filename>')} says {annotation.filename!r}, which is not there"
        findings.append(Finding("filename_mismatch", "info", annotation.file, None, message, f"{key} was used"))
    return findings


def _report_orientation(key: str, picture: Picture, annotation: Annotation) -> Finding:
    message = f"is stored turned (EXIF orientation {picture.orientation})"
    if picture.raw_size == picture.size:  # half a turn, or a square: nothing shows how the boxes were drawn
        action = "stored upright; boxes taken as drawn upright, look at them"
        return Finding("exif_rotated", "warning", key, None, message, action)
    is_raw = annotation.size == picture.raw_size
    boxes = "its boxes turned with it" if is_raw else "boxes taken as drawn upright"
    return Finding("exif_rotated", "info", key, None, message, f"stored upright, {boxes}")
