"""Bodies of the server's answers."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from slipway.models import AnswerModel


class Served(AnswerModel):
    """Which model it was.

    Attributes:
      digest: SHA-256 of the export's `manifest.json`.
    """

    run: str
    digest: str


class ModelAnswer(Served):
    """A model that can be asked.

    Attributes:
      classes: Labels in the order of their class ids, from 1.
      image_size: Side of what the model sees, pixels; an image of any size is scaled to it.
      score_threshold: What scores less is left out, unless a request says otherwise.
      step: Of the checkpoint that was exported.
      loaded_at: Since when it is in memory; absent while it is not.
    """

    preset: str
    step: int
    classes: list[str]
    image_size: int
    score_threshold: float
    loaded_at: str | None = None


class ModelList(AnswerModel):
    """Runs that have an export, newest first.

    Attributes:
      next: Give it as `page` to go on.
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
    """One found box, as `detections.json` has it."""

    label: str
    class_id: Annotated[int, Field(ge=1)]
    score: Annotated[float, Field(ge=0, le=1)]
    box: BoxAnswer


class Timing(AnswerModel):
    """Seconds, of the work itself, without the wait for it."""

    decode_seconds: float
    inference_seconds: float


class Prediction(AnswerModel):
    """What was found in one image, best first; width and height are those of the upright image."""

    model: Served
    width: int
    height: int
    score_threshold: float
    detections: list[DetectionAnswer]
    timing: Timing


class Health(AnswerModel):
    """That the process answers; what is wrong is a problem instead."""

    status: str = "ok"


EXAMPLE: dict[str, Any] = {
    "model": {"run": "harbour-3f2a9c1b", "digest": "5b0d…"},
    "width": 640,
    "height": 480,
    "scoreThreshold": 0.4,
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
