"""An exported SavedModel → detections, with TensorFlow alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipway import keys
from slipway.dataset.boxes import Box, ImageSize, denormalize
from slipway.dataset.labels import LabelMap
from slipway.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

_OUTPUTS = {"detection_boxes", "detection_classes", "detection_scores", "num_detections"}


@dataclass(frozen=True, slots=True)
class Detection:
    """One found box, in pixels of the image it was found in.

    Attributes:
      class_id: From 1, as in the label map.
      score: In [0, 1].
    """

    label: str
    class_id: int
    score: float
    box: Box


@dataclass(frozen=True)
class Detector:
    """A loaded SavedModel; loading takes seconds, the first image one more, each further one milliseconds."""

    signature: Any
    labels: LabelMap

    def detect(self, image: "Image", score_threshold: float) -> list[Detection]:
        """Find boxes in one upright RGB image, best first.

        Raises:
          InputError: The model has classes that the label map lacks.
        """
        import numpy as np
        import tensorflow as tf

        outputs = self.signature(image_tensor=tf.constant(np.asarray(image)[np.newaxis]))
        count = int(outputs["num_detections"][0])
        boxes, classes, scores = (outputs[f"detection_{n}"][0, :count] for n in ("boxes", "classes", "scores"))
        rows = zip(boxes.numpy().tolist(), classes.numpy().tolist(), scores.numpy().tolist(), strict=True)
        size = ImageSize(*image.size)
        return [
            Detection(self.labels.name(int(class_id)), int(class_id), score, denormalize(ymin, xmin, ymax, xmax, size))
            for (ymin, xmin, ymax, xmax), class_id, score in rows
            if score >= score_threshold
        ]


def load(folder: Path) -> Detector:
    """Load an export.

    Args:
      folder: Has `saved_model/` and `label_map.pbtxt`; or is that `saved_model/` itself.

    Raises:
      InputError: One of them is missing, or the SavedModel cannot be read or gives something other than detections.
    """
    saved_model, label_map = _find(folder)
    try:
        labels = LabelMap.parse(label_map.read_text(encoding="utf-8"), str(label_map))
    except UnicodeDecodeError as error:
        raise InputError(f"{label_map}: {error}; expected text as the exporter writes it") from error
    return Detector(_signature(saved_model), labels)


def to_json(detections: Sequence[Detection]) -> list[dict[str, Any]]:
    """Write detections as `detections.json` has them: box corners in pixels with two decimals."""
    return [
        {
            "label": found.label,
            "class_id": found.class_id,
            "score": round(found.score, 4),
            "box": {side: round(value, 2) for side, value in found.box._asdict().items()},
        }
        for found in detections
    ]


def _find(folder: Path) -> tuple[Path, Path]:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the export folder of a run, the one with saved_model/ in it")
    inner = folder / "saved_model"
    saved_model = inner if inner.is_dir() else folder
    label_map = Path(keys.label_map(str(saved_model.absolute().parent)))
    for file, what in ((saved_model / "saved_model.pb", "SavedModel"), (label_map, "label map")):
        if not file.is_file():
            raise InputError(f"{folder}: the {what} is missing, expected {file}; give the export folder of a run")
    return saved_model, label_map


def _signature(saved_model: Path) -> Any:
    import tensorflow as tf

    try:
        loaded = tf.saved_model.load(str(saved_model))
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise InputError(f"{saved_model}: TensorFlow cannot load it: {error}; export it again") from error
    signature = loaded.signatures.get("serving_default")
    if signature is None or not set(signature.structured_outputs) >= _OUTPUTS:
        got = sorted(signature.structured_outputs) if signature else "no serving_default"
        raise InputError(f"{saved_model}: it gives {got}, expected {sorted(_OUTPUTS)}; use a SavedModel of slipway")
    # The signature holds its variables weakly: without its model they would go, and with them the weights.
    signature.model = loaded
    return signature
