"""Documents of the detector: the boxes of each image, and its result."""

from collections.abc import Mapping

from pydantic import RootModel

from slipway.artifacts.outcome import StageResult
from slipway.models import ArtifactModel


class BoxSides(ArtifactModel):
    """A box in pixels of its image, origin top left, with two decimals."""

    xmin: float
    ymin: float
    xmax: float
    ymax: float


class DetectedBox(ArtifactModel):
    """One detection.

    Attributes:
      class_id: From 1, as in the label map.
      score: In [0, 1], with four decimals.
    """

    label: str
    class_id: int
    score: float
    box: BoxSides


class ImageDetections(ArtifactModel):
    """The detections of one image, best first.

    Attributes:
      filename: Relative to the folder of images.
      width, height: In pixels, after EXIF rotation.
    """

    filename: str
    width: int
    height: int
    detections: tuple[DetectedBox, ...]


class Detections(RootModel[tuple[ImageDetections, ...]], ArtifactModel):
    """The detections of some images.

    Key: `runs/<run>/detect/detections.json`. Writers: detector, and `slipway detect` into a folder. Readers: people and
    their programs.
    """


class DetectResult(StageResult):
    """The number of detections.

    Key: `runs/<run>/detect/result.json`. Writer: detector. Readers: command, controller.

    Attributes:
      images: Number of images on which the model was run.
      detections: Number of detections with at least the threshold of their label.
      score_threshold: Threshold of every label that `class_thresholds` lacks.
    """

    images: int
    detections: int
    score_threshold: float
    class_thresholds: Mapping[str, float] = {}
