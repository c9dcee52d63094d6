"""One image → one answer."""

import time
from dataclasses import dataclass
from typing import Literal

from slipway.artifacts.operating_point import ScoreThresholds
from slipway.http.problems import Problem

from services.detector.detect import to_document
from services.detector.images import ImageLimits, draw_detections, read_image
from services.detector.serving.metrics import Metrics
from services.detector.serving.model_loader import Model
from services.detector.serving.schemas import DetectionAnswer, Prediction, Served, Timing

MediaType = Literal["application/json", "image/jpeg", "image/png"]

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
_MEDIA_TYPES: tuple[MediaType, ...] = ("application/json", "image/jpeg", "image/png")


@dataclass(frozen=True)
class PredictionRequest:
    """A client's choices for one prediction.

    Attributes:
      media_type: Of the answer.
      score_threshold: None for those of the export.
      max_pixels: Largest width times height of the image.
    """

    media_type: MediaType
    score_threshold: float | None
    max_detections: int
    max_pixels: int


def predict(model: Model, content: bytes, request: PredictionRequest, metrics: Metrics) -> Prediction | bytes:
    """Detect in one image, and return the boxes, or the drawn image.

    Raises:
      InputError: The content is not an image, or exceeds the limits.
    """
    start_time = time.perf_counter()
    image = read_image(content, "the image", ImageLimits(request.max_pixels, FORMATS))
    decode_end = time.perf_counter()
    requested = request.score_threshold
    thresholds = model.export.thresholds if requested is None else ScoreThresholds(requested)
    detections = model.detector.detect(image, thresholds)[: request.max_detections]
    inference_end = time.perf_counter()
    metrics.inference.observe(inference_end - decode_end)
    if request.media_type != "application/json":
        return draw_detections(image, detections, "PNG" if request.media_type == "image/png" else "JPEG")
    return Prediction(
        model=Served(run=model.export.run, digest=model.export.digest),
        width=image.width,
        height=image.height,
        score_threshold=thresholds.overall,
        class_score_thresholds=dict(thresholds.by_label),
        detections=[DetectionAnswer.model_validate(box.content()) for box in to_document(detections)],
        timing=Timing(
            decode_seconds=round(decode_end - start_time, 4),
            inference_seconds=round(inference_end - decode_end, 4),
        ),
    )


def choose_media_type(accept: str) -> MediaType:
    """Choose the media type of the answer by an `Accept` header. Raises `Problem` 406."""
    ranges = sorted((_media_range(part) for part in accept.split(",")), key=lambda media_range: -media_range[1])
    for name, weight in ranges:
        for media_type in _MEDIA_TYPES:
            if weight > 0 and name in (media_type, f"{media_type.partition('/')[0]}/*", "*/*"):
                return media_type
    raise Problem(406, f"Accept is {accept!r}; ask for one of {', '.join(_MEDIA_TYPES)}")


def _media_range(part: str) -> tuple[str, float]:
    """Return the media range and its weight; a weight that is not a number counts as 1."""
    name, *parameters = (piece.strip().lower() for piece in part.split(";"))
    weights = [parameter[2:] for parameter in parameters if parameter.startswith("q=")]
    try:
        return name, float(weights[0]) if weights else 1.0
    except ValueError:
        return name, 1.0
