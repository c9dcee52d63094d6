"""An exported SavedModel → detections, with TensorFlow alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipway import keys
from slipway.artifacts.detections import BoxSides, DetectedBox
from slipway.artifacts.export import ExportManifest
from slipway.artifacts.json_io import parse_document
from slipway.artifacts.operating_point import OperatingPoints, ScoreThresholds
from slipway.dataset.boxes import Box, ImageSize, denormalize
from slipway.dataset.labels import LabelMap
from slipway.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

_OUTPUTS = {"detection_boxes", "detection_classes", "detection_scores", "num_detections"}


@dataclass(frozen=True, slots=True)
class Detection:
    """One detected box, in pixels of its image.

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
    """A loaded SavedModel; loading takes seconds, the first image one second, each further one milliseconds."""

    signature: Any
    labels: LabelMap

    def detect(self, image: "Image", thresholds: ScoreThresholds) -> list[Detection]:
        """Detect in one upright RGB image, best first, leaving out what is below the threshold of its label.

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
        detections = [
            Detection(self.labels.name(int(class_id)), int(class_id), score, denormalize(ymin, xmin, ymax, xmax, size))
            for (ymin, xmin, ymax, xmax), class_id, score in rows
        ]
        return [detection for detection in detections if detection.score >= thresholds.of(detection.label)]


def load(folder: Path) -> Detector:
    """Load an export.

    Args:
      folder: The folder with `saved_model/` and `label_map.pbtxt`, or that `saved_model/` itself.

    Raises:
      InputError: One of them is missing, or the SavedModel cannot be read or has other outputs than detections.
    """
    saved_model, label_map = _find(folder)
    try:
        labels = LabelMap.parse(label_map.read_text(encoding="utf-8"), str(label_map))
    except UnicodeDecodeError as error:
        raise InputError(f"{label_map}: {error}; expected text as the exporter writes it") from error
    return Detector(_signature(saved_model), labels)


def read_operating_points(folder: Path) -> OperatingPoints | None:
    """Read the thresholds from an export's manifest; None without one, or in an export of an older version.

    Raises:
      BrokenDocument: The manifest cannot be read.
    """
    manifest = _find(folder)[0].absolute().parent / Path(keys.export_manifest("")).name
    if not manifest.is_file():
        return None
    return parse_document(manifest.read_bytes(), str(manifest), ExportManifest).operating_points


def to_document(detections: Sequence[Detection]) -> tuple[DetectedBox, ...]:
    """Return the detections as `detections.json` lists them: scores with four decimals, box sides with two."""
    return tuple(
        DetectedBox(
            label=detection.label,
            class_id=detection.class_id,
            score=round(detection.score, 4),
            box=BoxSides(**{side: round(value, 2) for side, value in detection.box._asdict().items()}),
        )
        for detection in detections
    )


def _find(folder: Path) -> tuple[Path, Path]:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the export folder of a run, the one with saved_model/ in it")
    inner = folder / "saved_model"
    saved_model = inner if inner.is_dir() else folder
    label_map = Path(keys.label_map(str(saved_model.absolute().parent)))
    for file, title in ((saved_model / "saved_model.pb", "SavedModel"), (label_map, "label map")):
        if not file.is_file():
            raise InputError(f"{folder}: the {title} is missing, expected {file}; give the export folder of a run")
    return saved_model, label_map


def _signature(saved_model: Path) -> Any:
    import tensorflow as tf

    try:
        model = tf.saved_model.load(str(saved_model))
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise InputError(f"{saved_model}: TensorFlow cannot load it: {error}; export it again") from error
    signature = model.signatures.get("serving_default")
    if signature is None or not set(signature.structured_outputs) >= _OUTPUTS:
        outputs = sorted(signature.structured_outputs) if signature else "no serving_default"
        raise InputError(f"{saved_model}: it gives {outputs}, expected {sorted(_OUTPUTS)}; use a SavedModel of slipway")
    # The signature has only weak references to its variables: without its model they would be deleted.
    signature.model = model
    return signature
