"""Annotation formats: each module parses the files of one format into `Annotation`s."""

from dataclasses import dataclass

from slipway.artifacts.dataset import Finding
from slipway.dataset.annotations import LabeledBox
from slipway.dataset.boxes import ImageSize


@dataclass(frozen=True, slots=True)
class Annotation:
    """The content of one annotation file, unchecked.

    Attributes:
      file: Key of the annotation in the source.
      filename: The image's name as the annotation gives it; empty when it gives none.
      size: As the annotation gives it; None when it is absent or not a size.
      boxes: In the order of the file; coordinates may be NaN, swapped or outside.
      path, folder: The image's path and the name of its folder where it was annotated; both are empty when absent, and
        old when the image was moved since.
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
