"""The documents of a dataset in numbers: its manifest, which later stages read, and its report, which people read."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from slipway.artifacts.dataset import (
    DataReport,
    DatasetManifest,
    Finding,
    ImageSizeCount,
    ManifestSplit,
    SplitCounts,
)
from slipway.dataset.annotations import AnnotatedImage
from slipway.dataset.labels import LabelMap

_SHARD_IMAGES = 500  # about 50 MB: a worker that ends early loses less than a minute's work; a store has few keys
_TWO_SHARDS_FROM = 20  # images; a second worker for fewer takes longer to start than it saves
_MOST_FINDINGS = 1000  # in the report; the counts are always of all
_FINDINGS_OF_EACH_CODE = 5  # at least, so that each has an example
_SIZE_EDGES = (0, 8, 16, 32, 64, 96, 128, 192, 256, 384, 512, 1024)  # √area; COCO's small ends at 32, medium at 96
_MOST_IMAGE_SIZES = 12

Split = Sequence[AnnotatedImage]
Splits = Mapping[str, Split]


@dataclass(frozen=True)
class Dataset:
    """A dataset before it is stored.

    Attributes:
      splits: `train`, `val` and `test`, as far as there are any.
      findings: Of the source, the splits and the labels.
      notes: Sentences on how the splits were chosen.
      images_by_file: The images by the file that a finding names: their own, or that of their annotation.
    """

    name: str
    splits: Splits
    labels: LabelMap
    findings: Sequence[Finding]
    notes: Sequence[str]
    images_by_file: Mapping[str, AnnotatedImage] = field(default_factory=dict)

    @property
    def images(self) -> list[AnnotatedImage]:
        return [image for split in self.splits.values() for image in split]


def num_shards(image_count: int) -> int:
    """Return the number of shards of a split, which depends on its images alone."""
    return max(math.ceil(image_count / _SHARD_IMAGES), 2 if image_count >= _TWO_SHARDS_FROM else 1)


def build_manifest(dataset: Dataset, sha256: str) -> DatasetManifest:
    """Count what the later stages need to know."""
    sizes = [image.size for image in dataset.images]
    return DatasetManifest(
        name=dataset.name,
        sha256=sha256,
        labels=dataset.labels.names,
        splits={name: _count_with_shards(split, dataset.labels) for name, split in dataset.splits.items()},
        median_size=(round(median(size.width for size in sizes)), round(median(size.height for size in sizes))),
        counts=count_by_code(dataset.findings),
        severities=count_by_severity(dataset.findings),
        notes=tuple(dataset.notes),
    )


def build_report(dataset: Dataset, sha256: str) -> DataReport:
    """Count what people want to know of a dataset, and list its gravest findings."""
    images = dataset.images
    sizes = Counter(image.size for image in images).most_common(_MOST_IMAGE_SIZES)
    return DataReport(
        name=dataset.name,
        sha256=sha256,
        labels=dataset.labels.names,
        splits={name: _count(split, dataset.labels) for name, split in dataset.splits.items()},
        findings=_gravest(dataset.findings),
        counts=count_by_code(dataset.findings),
        box_sizes=_box_sizes(images),
        image_sizes=tuple(ImageSizeCount(width=size.width, height=size.height, count=n) for size, n in sizes),
        notes=tuple(dataset.notes),
    )


def _gravest(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return at most a thousand findings, the most severe first, among them a few of each code."""
    numbers_of_code: Counter[str] = Counter()
    few: list[Finding] = []
    others: list[Finding] = []
    for finding in sorted(findings, key=_gravity):
        numbers_of_code[finding.code] += 1
        (few if numbers_of_code[finding.code] <= _FINDINGS_OF_EACH_CODE else others).append(finding)
    return tuple(sorted([*few, *others][:_MOST_FINDINGS], key=_gravity))


def _gravity(finding: Finding) -> int:
    return ("error", "warning", "info").index(finding.severity)


def count_by_code(findings: Iterable[Finding]) -> dict[str, int]:
    """Count the findings of each code."""
    return dict(sorted(Counter(finding.code for finding in findings).items()))


def count_by_severity(findings: Sequence[Finding]) -> dict[str, dict[str, int]]:
    """Count the findings of each code by their severity."""
    counts: dict[str, Counter[str]] = {code: Counter() for code in count_by_code(findings)}
    for finding in findings:
        counts[finding.code][finding.severity] += 1
    return {code: dict(severities) for code, severities in counts.items()}


def find_absent_labels(splits: Splits, labels: LabelMap) -> list[Finding]:
    """Return a finding for each label that a split lacks: in train it is not learnt, in test not measured."""
    findings = []
    for name, split in splits.items():
        present_labels = {labeled_box.label for image in split for labeled_box in image.boxes}
        for label in labels.names:
            if label not in present_labels:
                consequence = "cannot be learnt" if name == "train" else "is not measured"
                message = f"label {label!r} has no box in {name}"
                action = f"it {consequence}; annotate more of it"
                findings.append(Finding("label_not_in_split", "warning", "", None, message, action))
    return findings


def _count(split: Split, labels: LabelMap) -> SplitCounts:
    per_class = Counter(labeled_box.label for image in split for labeled_box in image.boxes)
    boxes = per_class.total()
    return SplitCounts(images=len(split), boxes=boxes, per_class={label: per_class[label] for label in labels.names})


def _count_with_shards(split: Split, labels: LabelMap) -> ManifestSplit:
    counts = _count(split, labels)
    return ManifestSplit(
        images=counts.images, boxes=counts.boxes, per_class=counts.per_class, shards=num_shards(len(split))
    )


def _box_sizes(images: Split) -> dict[str, int]:
    """Count boxes by the side of a square of their area, in pixels of the stored image."""
    boxes = [labeled_box.box for image in images for labeled_box in image.boxes]
    sides = [math.sqrt(box.width * box.height) for box in boxes]
    if not sides:
        return {}
    bins: dict[str, tuple[float, float]] = {f"{low}–{high}": (low, high) for low, high in pairwise(_SIZE_EDGES)}
    bins[f"{_SIZE_EDGES[-1]}+"] = (_SIZE_EDGES[-1], math.inf)
    counts = {name: sum(low <= side < high for side in sides) for name, (low, high) in bins.items()}
    nonzero = [index for index, count in enumerate(counts.values()) if count]
    return dict(list(counts.items())[nonzero[0] : nonzero[-1] + 1])
