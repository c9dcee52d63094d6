"""Pictures of the report: a choice of test images, and the single failures that the evaluator lists."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from PIL import Image

from slipway.artifacts.detections import BoxSides
from slipway.artifacts.error_analysis import Failure
from slipway.dataset.annotations import AnnotatedImage
from slipway.dataset.boxes import Box, ImageSize, clip, iou
from slipway.dataset.labels import LabelMap
from slipway.report.box_drawing import Mark, draw, resize
from slipway.report.error_section import FailurePicture, Rectangle
from slipway.report.pages import SamplePictures

from services.detector.detect import Detection
from services.detector.images import detection_marks, encode_jpeg

_MAX_SAMPLES = 8
_SIDE = 640  # pixels: half the width of the page
_MAX_SCALE = 3  # so that the label does not hide an image below 200 px
_IOU = 0.5

_FAILURE_SIDE = 200  # pixels: five in a row of the page
_MAX_FAILURE_SCALE = 4  # beyond it, a small box is only blurred
_MARGIN = 0.4  # of the boxes' longer side, on each side: enough to see where the object is
_MIN_FAILURE_SIDE = 48  # pixels of the image, around a very small box
_MAX_FAILURE_BYTES = 6_000_000  # of all pictures: a page that a browser opens at once


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


def draw_failures(
    failures: Sequence[Failure], images: Iterable[AnnotatedImage], read: Callable[[AnnotatedImage], Image.Image]
) -> list[FailurePicture]:
    """Cut out each failure, in the given order; fewer where they would take more than 6 MB.

    Args:
      images: Those of the split; each that has a failure is read once, and one at a time.
    """
    indices_of = defaultdict(list)
    for index, failure in enumerate(failures):
        indices_of[failure.filename].append(index)
    pictures: dict[int, FailurePicture] = {}
    room = _MAX_FAILURE_BYTES
    for image in images:
        indices = indices_of.get(image.filename)
        if not indices or room <= 0:
            continue
        pixels = read(image)
        for index in indices:
            picture = cut_out(pixels, failures[index])
            room -= len(picture.jpeg)
            if room >= 0:
                pictures[index] = picture
    return [pictures[index] for index in sorted(pictures)]


def cut_out(image: Image.Image, failure: Failure) -> FailurePicture:
    """Cut the square around the boxes of a failure out of its image."""
    annotated = _box(failure.annotated.box) if failure.annotated else None
    detected = _box(failure.detected.box) if failure.detected else None
    section = _section([box for box in (annotated, detected) if box], image)
    part = image.crop(section)
    scale = min(_FAILURE_SIDE / max(part.size), _MAX_FAILURE_SCALE)
    return FailurePicture(
        failure=failure,
        jpeg=encode_jpeg(resize(part, scale)),
        annotated=_rectangle(annotated, section),
        detected=_rectangle(detected, section),
    )


def _section(boxes: Sequence[Box], image: Image.Image) -> tuple[int, int, int, int]:
    """Return (left, top, right, bottom) of a square around the boxes, as far as the image reaches."""
    left, top = min(box.xmin for box in boxes), min(box.ymin for box in boxes)
    right, bottom = max(box.xmax for box in boxes), max(box.ymax for box in boxes)
    longer = max(right - left, bottom - top)
    half = max(longer * (0.5 + _MARGIN), _MIN_FAILURE_SIDE / 2)
    x, y = (left + right) / 2, (top + bottom) / 2
    return (
        min(max(round(x - half), 0), image.width - 1),
        min(max(round(y - half), 0), image.height - 1),
        max(min(round(x + half), image.width), 1),
        max(min(round(y + half), image.height), 1),
    )


def _rectangle(box: Box | None, section: tuple[int, int, int, int]) -> Rectangle | None:
    if box is None:
        return None
    left, top, right, bottom = section
    inner = clip(
        Box(box.xmin - left, box.ymin - top, box.xmax - left, box.ymax - top), ImageSize(right - left, bottom - top)
    )
    width, height = 100 / (right - left), 100 / (bottom - top)
    return Rectangle(inner.xmin * width, inner.ymin * height, inner.width * width, inner.height * height)


def _box(sides: BoxSides) -> Box:
    return Box(sides.xmin, sides.ymin, sides.xmax, sides.ymax)
