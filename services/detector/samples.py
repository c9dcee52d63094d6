"""Test images of the report: their detections compared with their annotations, and the choice of those to show."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from PIL import Image

from slipway.dataset.annotations import AnnotatedImage
from slipway.dataset.boxes import iou
from slipway.dataset.labels import LabelMap
from slipway.report.box_drawing import Mark, draw, resize
from slipway.report.pages import SamplePictures

from services.detector.detect import Detection
from services.detector.images import detection_marks, encode_jpeg

_MAX_SAMPLES = 8
_SIDE = 640  # pixels: half the width of the page
_MAX_SCALE = 3  # so that the label does not hide an image below 200 px
_IOU = 0.5


@dataclass(frozen=True)
class Sample:
    """One test image with its detections.

    Attributes:
      detected_boxes: Number of annotated boxes that have a detection.
      extra_detections: Number of detections without an annotated box.
    """

    image: AnnotatedImage
    detections: Sequence[Detection]
    detected_boxes: int
    extra_detections: int

    @property
    def missed_boxes(self) -> int:
        return len(self.image.boxes) - self.detected_boxes

    @property
    def mistakes(self) -> int:
        return self.missed_boxes + self.extra_detections

    @property
    def caption(self) -> str:
        count = len(self.image.boxes)
        text = "no boxes to find"
        if count:
            text = f"{self.detected_boxes} of {count} {'box' if count == 1 else 'boxes'} found"
        return f"{text}, {self.extra_detections} extra" if self.extra_detections else text


def match_boxes(image: AnnotatedImage, detections: Sequence[Detection]) -> Sample:
    """Match each detection, best first, with the annotated box of its label that it overlaps most.

    A box is matched once, at IoU 0.5 and above; every further detection of it is an extra one.
    """
    open_boxes = list(image.boxes)
    for detection in detections:
        candidates = [b for b in open_boxes if b.label == detection.label and iou(b.box, detection.box) >= _IOU]
        if candidates:
            open_boxes.remove(max(candidates, key=lambda candidate: iou(candidate.box, detection.box)))
    detected_boxes = len(image.boxes) - len(open_boxes)
    return Sample(image, detections, detected_boxes, len(detections) - detected_boxes)


def choose_samples(samples: Iterable[Sample]) -> list[Sample]:
    """Choose at most eight, half with the most mistakes and half with the most detected boxes, sorted by file name."""
    by_name = sorted(samples, key=lambda s: s.image.filename)
    with_mistakes = sorted((s for s in by_name if s.mistakes), key=lambda s: -s.mistakes)[: _MAX_SAMPLES // 2]
    others = sorted((s for s in by_name if s not in with_mistakes), key=lambda s: -s.detected_boxes)
    return sorted([*with_mistakes, *others[: _MAX_SAMPLES - len(with_mistakes)]], key=lambda s: s.image.filename)


def draw_sample(sample: Sample, image: Image.Image, labels: LabelMap) -> SamplePictures:
    """Draw annotated boxes and detections, for the page of the run."""
    scale = min(_SIDE / max(image.size), _MAX_SCALE)
    small_image = resize(image, scale)
    truth = [Mark(b.box, labels.id(b.label), b.label).scaled(scale) for b in sample.image.boxes]
    detections = [mark.scaled(scale) for mark in detection_marks(sample.detections)]
    return SamplePictures(
        filename=sample.image.filename,
        truth=encode_jpeg(draw(small_image, truth)),
        detections=encode_jpeg(draw(small_image, detections)),
        caption=sample.caption,
    )
