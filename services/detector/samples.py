"""Which test images a report shows, and what it says of them: found, missed and extra boxes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from PIL import Image

from slipway.dataset.annotations import AnnotatedImage
from slipway.dataset.boxes import iou
from slipway.dataset.labels import LabelMap
from slipway.report.box_drawing import Mark, draw, resize
from slipway.report.pages import SamplePictures

from services.detector.detect import Detection
from services.detector.images import jpeg

_MOST = 8
_SIDE = 640  # pixels: what half a page shows
_MOST_ENLARGED = 3  # below 200 px a label would hide the picture
_IOU = 0.5


@dataclass(frozen=True)
class Sample:
    """One test image, what was found in it, and how that compares with its annotation."""

    image: AnnotatedImage
    detections: Sequence[Detection]
    found: int
    extra: int

    @property
    def missed(self) -> int:
        return len(self.image.boxes) - self.found

    @property
    def caption(self) -> str:
        boxes = len(self.image.boxes)
        found = f"{self.found} of {boxes} {'box' if boxes == 1 else 'boxes'} found" if boxes else "no boxes to find"
        return f"{found}, {self.extra} extra" if self.extra else found


def sample(image: AnnotatedImage, detections: Sequence[Detection]) -> Sample:
    """Match detections, best first, each with the annotated box of its label that it overlaps most.

    A box counts as found once, at IoU 0.5 and above; every further detection of it is an extra one.
    """
    open_boxes = list(image.boxes)
    for detection in detections:
        rivals = [b for b in open_boxes if b.label == detection.label and iou(b.box, detection.box) >= _IOU]
        if rivals:
            open_boxes.remove(max(rivals, key=lambda labeled: iou(labeled.box, detection.box)))
    found = len(image.boxes) - len(open_boxes)
    return Sample(image, detections, found, len(detections) - found)


def choose(samples: Iterable[Sample]) -> list[Sample]:
    """Choose at most eight, half for their mistakes and half for their many boxes, in the order of their names."""
    by_name = sorted(samples, key=lambda s: s.image.filename)
    wrong = sorted((s for s in by_name if s.missed or s.extra), key=lambda s: -(s.missed + s.extra))[: _MOST // 2]
    rest = sorted((s for s in by_name if s not in wrong), key=lambda s: -s.found)
    return sorted([*wrong, *rest[: _MOST - len(wrong)]], key=lambda s: s.image.filename)


def draw_sample(sample: Sample, image: Image.Image, labels: LabelMap) -> SamplePictures:
    """Draw annotated boxes and detections, for the page of the run."""
    scale = min(_SIDE / max(image.size), _MOST_ENLARGED)
    shown = resize(image, scale)
    truth = [Mark(b.box, labels.id(b.label), b.label).scaled(scale) for b in sample.image.boxes]
    found = [Mark(d.box, d.class_id, f"{d.label} {d.score:.0%}").scaled(scale) for d in sample.detections]
    return SamplePictures(
        filename=sample.image.filename,
        truth=jpeg(draw(shown, truth)),
        detections=jpeg(draw(shown, found)),
        caption=sample.caption,
    )
