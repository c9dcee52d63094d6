"""A stage's numbers as one small object in the store: written by its shell, read and checked by the controller."""

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
    """What a pod wrote is no snapshot."""


class SnapshotSaver:
    """Writes a process's numbers to its key, every few seconds."""

    def __init__(self, run: str, stage: str, index: int) -> None:
        self._key = keys.snapshot(run, stage, index)
        self._saved = time.monotonic()

    def save(self, store: ObjectStore, is_last: bool = False) -> None:
        """Write them, unless that was done a moment ago."""
        now = time.monotonic()
        if is_last or now - self._saved >= _EVERY_SEC:
            write_document(store, self._key, taken(STAGE))
            self._saved = now


def taken(registry: CollectorRegistry) -> MetricSnapshot:
    """Return what the registry tells, without the moments at which its counters were made."""
    found = (sample for metric in registry.collect() for sample in metric.samples)
    return MetricSnapshot.model_construct(
        samples=tuple(
            MetricSample(name=sample.name, labels=dict(sample.labels), value=sample.value)
            for sample in found
            if not sample.name.endswith("_created")
        )
    )


def read_snapshot(store: ObjectStore, key: str) -> dict[str, list[MetricSample]]:
    """Read a snapshot and return its samples by metric: a pod is less trusted than who reads this.

    Raises:
      MissingKey: It is not there.
      SnapshotIgnored: It is too large, or is no snapshot.
    """
    content = store.stream(key, 0, _MOST_BYTES + 1)
    try:
        text = b"".join(content.chunks)
    finally:
        content.close()
    if len(text) > _MOST_BYTES:
        raise SnapshotIgnored(f"{key}: has {content.stat.size} bytes, at most {_MOST_BYTES} are read")
    try:
        return known(parse_document(text, key, MetricSnapshot).samples)
    except BrokenDocument as error:
        raise SnapshotIgnored(str(error)) from error


def known(samples: Iterable[MetricSample]) -> dict[str, list[MetricSample]]:
    """Sort the samples by their metric; what `KNOWN` does not have, or has otherwise, is left out."""
    found: dict[str, dict[tuple[str, ...], MetricSample]] = {}
    for sample in samples:
        rule = _RULES.get(sample.name)
        if rule and rule.allows(sample):
            identity = (sample.name, *(sample.labels[label] for label in sorted(sample.labels)))
            found.setdefault(rule.metric.name, {})[identity] = sample
    return {metric: list(by_labels.values()) for metric, by_labels in found.items()}


class _Rule:
    """What the samples of one name are like."""

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
