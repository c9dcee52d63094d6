"""Bodies of the server's answers."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from slipway.models import AnswerModel


class Served(AnswerModel):
    """The model of a prediction.

    Attributes:
      digest: SHA-256 of the export's `manifest.json`.
    """

    run: str
    digest: str


class ModelAnswer(Served):
    """A model that can be used for predictions.

    Attributes:
      classes: Labels in the order of their class ids, from 1.
      image_size: Side of the model's square input, pixels; an image of any size is scaled to it.
      score_threshold: Detections with a lower score are left out, unless a request sets another threshold.
      class_score_thresholds: Thresholds of classes that have another one.
      step: Global step of the exported checkpoint.
      loaded_at: Time since which it is in memory; absent while it is not.
    """

    preset: str
    step: int
    classes: list[str]
    image_size: int
    score_threshold: float
    class_score_thresholds: dict[str, float] = Field(default_factory=dict)
    loaded_at: str | None = None


class ModelList(AnswerModel):
    """Runs that have an export, newest first.

    Attributes:
      next: The value of `page` for the next page; absent on the last.
    """

    items: list[str]
    next: str | None = None


class BoxAnswer(BaseModel):
    """Corners in pixels of the upright image."""

    xmin: float
    ymin: float
    xmax: float
    ymax: float


class DetectionAnswer(BaseModel):
    """One detected box, as in `detections.json`."""

    label: str
    class_id: Annotated[int, Field(ge=1)]
    score: Annotated[float, Field(ge=0, le=1)]
    box: BoxAnswer


class Timing(AnswerModel):
    """Seconds of the work itself, without waiting."""

    decode_seconds: float
    inference_seconds: float


class Prediction(AnswerModel):
    """Detections in one image, best first; width and height are those of the upright image.

    Attributes:
      score_threshold: Detections with a lower score are left out.
      class_score_thresholds: Thresholds of classes that have another one; empty if the request sent a threshold.
    """

    model: Served
    width: int
    height: int
    score_threshold: float
    class_score_thresholds: dict[str, float] = Field(default_factory=dict)
    detections: list[DetectionAnswer]
    timing: Timing


class Health(AnswerModel):
    """The answer of a server without a problem."""

    status: str = "ok"


EXAMPLE: dict[str, Any] = {
    "model": {"run": "harbour-3f2a9c1b", "digest": "5b0d…"},
    "width": 640,
    "height": 480,
    "scoreThreshold": 0.41,
    "classScoreThresholds": {"buoy": 0.28},
    "detections": [
        {
            "label": "boat",
            "class_id": 1,
            "score": 0.9731,
            "box": {"xmin": 81.5, "ymin": 203.12, "xmax": 188.04, "ymax": 271.9},
        }
    ],
    "timing": {"decodeSeconds": 0.0041, "inferenceSeconds": 0.0312},
}
