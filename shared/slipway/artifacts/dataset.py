"""Documents of a dataset, all written by ingest: its manifest, its data report, the faults of a refused source."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, RootModel

from slipway import keys
from slipway.artifacts.outcome import StageResult
from slipway.models import ArtifactModel

Severity = Literal["error", "warning", "info"]
FindingBox = Annotated[tuple[float, float, float, float] | None, Field(exclude_if=lambda box: box is None)]


class SplitCounts(ArtifactModel):
    """Images and boxes of one split.

    Attributes:
      per_class: Label to number of boxes; 0 for a label that the split lacks.
    """

    images: int
    boxes: int
    per_class: Mapping[str, int] = {}


class ManifestSplit(SplitCounts):
    """One split, and the number of its annotation shards and record shards."""

    shards: int


class DatasetManifest(ArtifactModel):
    """The numbers of a dataset that later stages need; written last, so a dataset without it is incomplete.

    Key: `datasets/<name>/<sha256>/manifest.json`. Writer: ingest. Readers: ingest (of a run that takes the dataset up),
    preprocess, exporter, detector, API.

    Attributes:
      sha256: Digest of label map and annotations: equal datasets have equal digests.
      labels: In the order of their class ids, from 1.
      splits: `train`, `val` and `test`, as far as there are any.
      median_size: (width, height) in pixels.
      counts: Findings by code.
      severities: Findings by code, then by severity; datasets of the first versions have none.
      notes: Sentences on how the splits were chosen.
    """

    name: str
    sha256: str
    labels: tuple[str, ...]
    splits: Mapping[str, ManifestSplit]
    median_size: tuple[int, int]
    counts: Mapping[str, int] = {}
    severities: Mapping[str, Mapping[str, int]] = {}
    notes: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """The prefix of the dataset's keys."""
        return keys.dataset(self.name, self.sha256)

    def annotation_keys(self, split: str) -> list[str]:
        """Return the keys of the split's annotations, in order; none when there is no such split."""
        shards = self.splits[split].shards if split in self.splits else 0
        return [keys.annotations(self.folder, split, number, shards) for number in range(shards)]


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault or a peculiarity of one source file.

    A dataclass, since a large source has a hundred thousand of them; pydantic checks it inside a `DataReport`.

    Attributes:
      code: A fixed word, by which findings are counted.
      severity: `error` cannot be used, `warning` was repaired or dropped or looks wrong, `info` was corrected.
      file: Key in the source.
      object: Index of the drawn object in its file, from 0; None when it is about the whole file.
      message: The content of the file, and the content that was expected.
      action: The step that was taken, or that the user should take.
      box: The object's box, (xmin, ymin, xmax, ymax) in pixels of the upright image; None where it is unknown.
    """

    code: str
    severity: Severity
    file: str
    object: int | None
    message: str
    action: str
    box: FindingBox = None

    def __str__(self) -> str:
        place = f"{self.file}: " if self.file else ""
        return f"{place}{self.message}; {self.action}"


class ImageSizeCount(ArtifactModel):
    """The number of images that have one size, in pixels."""

    width: int
    height: int
    count: int


class DataReport(ArtifactModel):
    """A dataset as its report shows it.

    Key: `datasets/<name>/<sha256>/report.json`. Writer: ingest. Readers: detector (for the run's report), command.

    Attributes:
      findings: The most severe first, at most a thousand.
      counts: Findings by code, of all findings.
      box_sizes: Range of √area in pixels to number of boxes.
      image_sizes: The most frequent sizes.
      notes: Sentences on how the splits were chosen.
    """

    name: str
    sha256: str = ""
    labels: tuple[str, ...] = ()
    splits: Mapping[str, SplitCounts]
    findings: tuple[Finding, ...] = ()
    counts: Mapping[str, int] = {}
    box_sizes: Mapping[str, int] = {}
    image_sizes: tuple[ImageSizeCount, ...] = ()
    notes: tuple[str, ...] = ()


class Faults(RootModel[tuple[Finding, ...]], ArtifactModel):
    """Every fault because of which a source was refused.

    Key: `runs/<run>/ingest/faults.json`. Writer: ingest. Readers: people; the error message names the key.
    """

    def encode(self) -> bytes:
        """Return text that a person can read: letters of any script are not escaped."""
        return json.dumps(self.content(), indent=1, ensure_ascii=False).encode(errors="replace") + b"\n"


class ConfigField(ArtifactModel):
    """A field of a pipeline config of the Object Detection API, and its counterpart in a run.

    Attributes:
      field: Dotted, without the parts that say nothing, such as `train_config.batch_size`.
      outcome: `taken over`: the run has the value; `replaced`: it has another.
      counterpart: The run's value; empty when there is none.
    """

    field: str
    value: str
    outcome: Literal["taken over", "replaced", "no counterpart"]
    counterpart: str = ""
    reason: str

    @property
    def outcome_text(self) -> str:
        """The outcome with the run's value."""
        if self.outcome == "replaced":
            return f"replaced by {self.counterpart}"
        return "has no counterpart" if self.outcome == "no counterpart" else self.outcome


class ComparedConfig(ArtifactModel):
    """The pipeline config of a source, compared with the run.

    Attributes:
      file: Its key in the source.
      fields: Those that the tutorial edits, as far as the config has them.
      fault: The reason why it was not compared; empty when it was.
    """

    file: str
    fields: tuple[ConfigField, ...] = ()
    fault: str = ""


class IngestResult(StageResult):
    """The dataset that a run uses; labels, splits, counts and notes are copied from its manifest.

    Key: `runs/<run>/ingest/result.json`. Writer: ingest. Readers: every later stage, controller, command, retention.

    Attributes:
      dataset: The prefix of its keys, `datasets/<name>/<sha256>`.
      pipeline_config: None if the source has none.
    """

    dataset: str
    labels: tuple[str, ...] = ()
    splits: Mapping[str, ManifestSplit] = {}
    counts: Mapping[str, int] = {}
    notes: tuple[str, ...] = ()
    pipeline_config: ComparedConfig | None = None
