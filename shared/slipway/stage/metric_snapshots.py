"""Snapshots of a stage's metrics in the store: written by its process, read and checked by the controller."""

import math
import re
import time
from collections.abc import Iterable

from prometheus_client import CollectorRegistry

from slipway import keys
from slipway.artifacts.json_io import parse_document, write_document
from slipway.artifacts.outcome import MetricSample, MetricSnapshot
from slipway.errors import BrokenDocument, SlipwayError
from slipway.metrics.registry import STAGE, MetricSpec
from slipway.metrics.stage_gauges import GAUGES
from slipway.store.interface import ObjectStore
from slipway.store.measured import BUCKETS, DURATION, ERROR_COUNT

KNOWN = {metric.name: metric for metric in [*(gauge.spec for gauge in GAUGES), DURATION, ERROR_COUNT]}

_EVERY_SEC = 10.0
_MOST_BYTES = 64 << 10  # a training's is 5 kB
_LE = "|".join([*(re.escape(str(bucket)) for bucket in BUCKETS), r"\+Inf"])


class SnapshotIgnored(SlipwayError):
    """A pod has written an object that is not a snapshot."""


class SnapshotSaver:
    """Writes a process's metrics to its key, every few seconds."""

    def __init__(self, run: str, stage: str, index: int) -> None:
        self._key = keys.snapshot(run, stage, index)
        self._saved = time.monotonic()

    def save(self, store: ObjectStore, is_last: bool = False) -> None:
        """Write the snapshot, unless the last one is only a few seconds old."""
        now = time.monotonic()
        if is_last or now - self._saved >= _EVERY_SEC:
            write_document(store, self._key, take_snapshot(STAGE))
            self._saved = now


def take_snapshot(registry: CollectorRegistry) -> MetricSnapshot:
    """Return the registry's samples, without the creation times of its counters."""
    samples = (sample for metric in registry.collect() for sample in metric.samples)
    return MetricSnapshot.model_construct(
        samples=tuple(
            MetricSample(name=sample.name, labels=dict(sample.labels), value=sample.value)
            for sample in samples
            if not sample.name.endswith("_created")
        )
    )


def read_snapshot(store: ObjectStore, key: str) -> dict[str, list[MetricSample]]:
    """Read a snapshot and return its valid samples by metric: a pod is less trusted than its reader.

    Raises:
      MissingKey: It does not exist.
      SnapshotIgnored: It is too large, or is not a snapshot.
    """
    content = store.stream(key, 0, _MOST_BYTES + 1)
    try:
        text = b"".join(content.chunks)
    finally:
        content.close()
    if len(text) > _MOST_BYTES:
        raise SnapshotIgnored(f"{key}: has {content.stat.size} bytes, at most {_MOST_BYTES} are read")
    try:
        return valid_samples(parse_document(text, key, MetricSnapshot).samples)
    except BrokenDocument as error:
        raise SnapshotIgnored(str(error)) from error


def valid_samples(samples: Iterable[MetricSample]) -> dict[str, list[MetricSample]]:
    """Group the samples by metric; those that `KNOWN` lacks, or that break its rules, are left out."""
    samples_by_metric: dict[str, dict[tuple[str, ...], MetricSample]] = {}
    for sample in samples:
        rule = _RULES.get(sample.name)
        if rule and rule.allows(sample):
            identity = (sample.name, *(sample.labels[label] for label in sorted(sample.labels)))
            samples_by_metric.setdefault(rule.metric.name, {})[identity] = sample
    return {metric: list(by_labels.values()) for metric, by_labels in samples_by_metric.items()}


class _Rule:
    """The labels and values that samples of one name may have."""

    def __init__(self, metric: MetricSpec, suffix: str) -> None:
        self.metric, self.name = metric, metric.name + suffix
        patterns = {**metric.labels, **({"le": _LE} if suffix == "_bucket" else {})}
        self._patterns = {label: re.compile(pattern) for label, pattern in patterns.items()}

    def allows(self, sample: MetricSample) -> bool:
        is_counted = self.metric.type != "gauge"
        return (
            sample.labels.keys() == self._patterns.keys()
            and all(self._patterns[label].fullmatch(value) for label, value in sample.labels.items())
            and not (is_counted and not (math.isfinite(sample.value) and sample.value >= 0))
        )


_SUFFIXES = {"gauge": [""], "counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
_RULES = {rule.name: rule for metric in KNOWN.values() for rule in (_Rule(metric, s) for s in _SUFFIXES[metric.type])}
