"""One image → the answer."""

import time
from dataclasses import dataclass
from typing import Literal

from slipway.http.problems import Problem

from services.detector.detect import to_json
from services.detector.images import Taken, drawn, read_image
from services.detector.serving.metrics import Metrics
from services.detector.serving.model_loader import Model
from services.detector.serving.schemas import DetectionAnswer, Prediction, Served, Timing

MediaType = Literal["application/json", "image/jpeg", "image/png"]

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
_OFFERED: tuple[MediaType, ...] = ("application/json", "image/jpeg", "image/png")


@dataclass(frozen=True)
class Asked:
    """What a client wants.

    Attributes:
      score_threshold: The run's own when None.
    """

    media_type: MediaType
    score_threshold: float | None
    max_detections: int
    max_pixels: int


def predict(model: Model, content: bytes, asked: Asked, metrics: Metrics) -> Prediction | bytes:
    """Detect, and return boxes, or the drawn image.

    Raises:
      InputError: The content is no image that is taken.
    """
    started = time.perf_counter()
    image = read_image(content, "the image", Taken(asked.max_pixels, FORMATS))
    decoded = time.perf_counter()
    threshold = model.export.score_threshold if asked.score_threshold is None else asked.score_threshold
    found = model.detector.detect(image, threshold)[: asked.max_detections]
    ended = time.perf_counter()
    metrics.inference.observe(ended - decoded)
    metrics.batch_size.observe(1)
    if asked.media_type != "application/json":
        return drawn(image, found, "PNG" if asked.media_type == "image/png" else "JPEG")
    return Prediction(
        model=Served(run=model.export.run, digest=model.export.digest),
        width=image.width,
        height=image.height,
        score_threshold=threshold,
        detections=[DetectionAnswer(**row) for row in to_json(found)],
        timing=Timing(decode_seconds=round(decoded - started, 4), inference_seconds=round(ended - decoded, 4)),
    )


def preferred(accept: str) -> MediaType:
    """Choose what to answer from an `Accept` header. Raises `Problem` 406."""
    ranges = sorted((_range(part) for part in accept.split(",")), key=lambda found: -found[1])
    for wanted, weight in ranges:
        for offered in _OFFERED:
            if weight > 0 and wanted in (offered, f"{offered.partition('/')[0]}/*", "*/*"):
                return offered
    raise Problem(406, f"Accept is {accept!r}; ask for one of {', '.join(_OFFERED)}")


def _range(part: str) -> tuple[str, float]:
    """Return the media range and its weight; one that is no number counts in full."""
    name, *parameters = (piece.strip().lower() for piece in part.split(";"))
    weights = [parameter[2:] for parameter in parameters if parameter.startswith("q=")]
    try:
        return name, float(weights[0]) if weights else 1.0
    except ValueError:
        return name, 1.0
