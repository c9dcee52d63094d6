"""Annotation formats: each module recognizes the files of one format, and parses them into `Annotation`s.

Images are matched, boxes checked, splits assigned and labels numbered in the same way for all formats. A module only
gives the content of its files, unchecked, and reports the content that it cannot use.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NoReturn

from slipway.artifacts.dataset import Finding
from slipway.dataset.annotations import LabeledBox
from slipway.dataset.boxes import ImageSize
from slipway.errors import AnnotationError

from services.ingest.formats.source_file import SourceFile


@dataclass(frozen=True, slots=True)
class Annotation:
    """The annotation of one image, unchecked.

    Attributes:
      file: Key of the annotation in the source; where a file annotates several images, `#` and the image follow.
      filename: The image's name as the annotation gives it; empty when it gives none.
      size: As the annotation gives it; None when it is absent or not a size.
      boxes: In the order of the file; coordinates may be NaN, swapped or outside.
      path, folder: The image's path and the name of its folder where it was annotated; both are empty when absent, and
        old when the image was moved since.
      shared_key: Key of the file that annotates several images; empty where each image has a file.
      is_relative: Coordinates are shares of the image's width and height instead of pixels.
      split: The name of a split, if the annotation gives one.
      second_filename: The image's name if it has not the first one, since the tool renamed it.
      findings: Shapes of which the bounds were taken, and parts of the file that were not read. An error with the
        index of a box refuses this box.
    """

    file: str
    filename: str
    size: ImageSize | None
    boxes: tuple[LabeledBox, ...]
    path: str = ""
    folder: str = ""
    findings: tuple[Finding, ...] = ()
    shared_key: str = ""
    is_relative: bool = False
    split: str = ""
    second_filename: str = ""


@dataclass(frozen=True, slots=True)
class PendingAnnotation:
    """The annotation of one image before it is parsed.

    Attributes:
      file: As in `Annotation`.
      read: Parses it, in any thread; raises `AnnotationError`.
    """

    file: str
    read: Callable[[], Annotation]


@dataclass(frozen=True)
class ListedAnnotations:
    """The annotations of all images, in the order of the files.

    Attributes:
      findings: On whole files.
      notes: Sentences for the report.
    """

    pending: list[PendingAnnotation] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class AnnotationFormat:
    """One format of annotations.

    Attributes:
      name: The value of `--format`.
      title: Its name in messages.
      suffixes: Of its files, in lower case and with the dot; a file with another suffix is never read.
      detect: Checks whether a file is of this format, by its content. Raises `AnnotationError` if it is damaged.
      images: Lists the annotations of all files of this format.
      is_per_image: Each image has a file of its own.
      is_derived: Other tools write it from another format, whose files are used where both are in a source.
    """

    name: str
    title: str
    suffixes: frozenset[str]
    detect: Callable[[SourceFile], bool]
    images: Callable[[Sequence[SourceFile]], ListedAnnotations]
    is_per_image: bool = False
    is_derived: bool = False


def list_each(files: Iterable[SourceFile], list_file: Callable[[SourceFile], ListedAnnotations]) -> ListedAnnotations:
    """List the annotations of files that annotate several images each; a damaged file becomes a pending error."""
    annotations = ListedAnnotations()
    for file in files:
        try:
            file_annotations = list_file(file)
        except AnnotationError as error:
            annotations.pending.append(PendingAnnotation(file.key, partial(_raise, str(error))))
            continue
        annotations.pending.extend(file_annotations.pending)
        annotations.findings.extend(file_annotations.findings)
    return annotations


def _raise(message: str) -> NoReturn:
    raise AnnotationError(message)
