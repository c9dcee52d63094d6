"""Documents of an export: its manifest and the exporter's result."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from slipway.artifacts.operating_point import OperatingPoints
from slipway.artifacts.outcome import StageResult
from slipway.models import ArtifactModel
from slipway.run.names import Sha256


class Parity(ArtifactModel):
    """The largest differences between an export and the measured model, and the amount that was compared.

    Attributes:
      unmatched: Number of detections of either that the other lacks.
      max_box_diff_px: In pixels of the model's input.
    """

    images: int = 0
    anchors: int = 0
    detections: int = 0
    unmatched: int = 0
    max_box_diff_px: float = 0.0
    max_score_diff: float = 0.0


class DatasetIdentity(ArtifactModel):
    """The dataset that a model was trained on."""

    name: str
    sha256: str


class ExportManifest(ArtifactModel):
    """The files of an export, and their origin; written last, so an export without it is incomplete.

    Key: `runs/<run>/export/manifest.json`. Writer: exporter. Readers: detector (for the run's report), server, which
    tells exports apart by the sha256 of this key's bytes.

    Attributes:
      step: Global step of the exported checkpoint.
      image_size: Side of the model's square input, pixels.
      labels: In the order of their class ids, from 1.
      operating_points: The score thresholds of the exported checkpoint; None in a document of an older version.
      signatures: Signature to its input, and under `outputs` the names of its outputs.
      parity: Parity of the SavedModel.
      omitted: File that was requested to the reason why it is missing.
      versions: Package to version.
      files: Path below the export's folder to sha256.
    """

    run: str = ""
    step: int
    preset: str
    image_size: int
    labels: tuple[str, ...]
    operating_points: OperatingPoints | None = None
    dataset: DatasetIdentity | None = None
    signatures: Mapping[str, Mapping[str, str | tuple[str, ...]]] = {}
    parity: Parity = Parity()
    omitted: Mapping[str, str] = {}
    versions: Mapping[str, str] = {}
    files: Annotated[Mapping[str, Sha256], Field(min_length=1)]


class ExportResult(StageResult):
    """The outcome of an export; the details are in `ExportManifest`.

    Key: `runs/<run>/export/result.json`. Writer: exporter. Readers: command, controller.

    Attributes:
      step: Global step of the exported checkpoint.
      omitted: File that was requested to the reason why it is missing.
    """

    step: int
    parity: Parity = Parity()
    omitted: Mapping[str, str] = {}
