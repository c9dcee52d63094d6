"""A checked dataset in numbers: its manifest, which the stages read, and its report, which people read."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import median
from typing import Any

from slipway.dataset.annotations import AnnotatedImage
from slipway.dataset.labels import LabelMap

from services.ingest.validate import Finding

_SHARD_IMAGES = 500  # about 50 MB: a worker's work is lost in parts of a minute, and a store has not too many keys
_TWO_SHARDS_FROM = 20  # images; below, a second worker would start for nothing
_REPORTED = 1000  # findings; the counts are always of all
_SIZE_EDGES = (0, 8, 16, 32, 64, 96, 128, 192, 256, 384, 512, 1024)  # √area; COCO's small ends at 32, medium at 96
_IMAGE_SIZES = 12

Split = Sequence[AnnotatedImage]


def num_shards(images: int) -> int:
    """Return how many shards a split has: a function of its images alone."""
    return max(math.ceil(images / _SHARD_IMAGES), 2 if images >= _TWO_SHARDS_FROM else 1)


def manifest(splits: Mapping[str, Split], labels: LabelMap) -> dict[str, Any]:
    """Count what the later stages need to know."""
    images = [image for split in splits.values() for image in split]
    return {
        "labels": list(labels.names),
        "splits": {
            name: {**_counts(split, labels), "shards": num_shards(len(split))} for name, split in splits.items()
        },
        "median_size": [
            round(median(image.size.width for image in images)),
            round(median(i.size.height for i in images)),
        ],
    }


def report(splits: Mapping[str, Split], labels: LabelMap, findings: Sequence[Finding]) -> dict[str, Any]:
    """Gather what the report of the data shows, in the words of `slipway.report.pages.data_report`."""
    images = [image for split in splits.values() for image in split]
    sizes = Counter(image.size for image in images).most_common(_IMAGE_SIZES)
    return {
        "labels": list(labels.names),
        "splits": {name: _counts(split, labels) for name, split in splits.items()},
        "findings": [finding.row() for finding in sorted(findings, key=_gravity)[:_REPORTED]],
        "counts": counts(findings),
        "box_sizes": _box_sizes(images),
        "image_sizes": [{"width": size.width, "height": size.height, "count": count} for size, count in sizes],
    }


def _gravity(finding: Finding) -> int:
    return ("error", "warning", "info").index(finding.severity)


def counts(findings: Sequence[Finding]) -> dict[str, int]:
    return dict(sorted(Counter(finding.code for finding in findings).items()))


def severities(findings: Sequence[Finding]) -> dict[str, dict[str, int]]:
    """Count the findings of each code by their severity."""
    return {code: Counter(f.severity for f in findings if f.code == code) for code in counts(findings)}


def absent_labels(splits: Mapping[str, Split], labels: LabelMap) -> list[Finding]:
    """Name the labels that a split lacks: in train they are not learnt, in test not measured."""
    found = []
    for name, split in splits.items():
        present = {labeled.label for image in split for labeled in image.boxes}
        for label in labels.names:
            if label not in present:
                what = "cannot be learnt" if name == "train" else "is not measured"
                text = f"label {label!r} has no box in {name}"
                found.append(
                    Finding("label_not_in_split", "warning", "", None, text, f"it {what}; annotate more of it")
                )
    return found


def _counts(split: Split, labels: LabelMap) -> dict[str, Any]:
    per_class = Counter(labeled.label for image in split for labeled in image.boxes)
    return {
        "images": len(split),
        "boxes": per_class.total(),
        "per_class": {label: per_class[label] for label in labels.names},
    }


def _box_sizes(images: Split) -> dict[str, int]:
    """Count boxes by the side of a square of their area, pixels of the stored image."""
    sides = [math.sqrt(labeled.box.width * labeled.box.height) for image in images for labeled in image.boxes]
    if not sides:
        return {}
    bins: dict[str, tuple[float, float]] = {f"{low}–{high}": (low, high) for low, high in pairwise(_SIZE_EDGES)}
    bins[f"{_SIZE_EDGES[-1]}+"] = (_SIZE_EDGES[-1], math.inf)
    named = {name: sum(low <= side < high for side in sides) for name, (low, high) in bins.items()}
    filled = [index for index, count in enumerate(named.values()) if count]
    return dict(list(named.items())[filled[0] : filled[-1] + 1])
