"""Metrics of a stage: their specification, their registry, and gauges that are exported once they are set.

A stage's pod is often gone before Prometheus scrapes it, so `slipway.stage.metric_snapshots` saves these metrics in the
store, and the controller exports them with the labels `run` and `stage`.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from prometheus_client import CollectorRegistry, Gauge

STAGE = CollectorRegistry()


@dataclass(frozen=True)
class MetricSpec:
    """A metric that a stage may export; the controller accepts no other from a pod.

    Attributes:
      labels: The name of each label, and the pattern of its values.
      workers: How the values of several workers become one: worker 0's, the sum, or the largest.
    """

    name: str
    type: Literal["gauge", "counter", "histogram"]
    help: str
    labels: Mapping[str, str]
    workers: Literal["first", "sum", "max"] = "first"


class StageGauge:
    """A gauge exported only after its first value."""

    def __init__(self, name: str, help: str, workers: Literal["first", "sum", "max"] = "first", **labels: str) -> None:
        self.spec = MetricSpec(name, "gauge", help, labels, workers)
        self._gauge = Gauge(name, help, list(labels), registry=None)
        self._is_registered = False

    def set(self, value: float, **labels: str) -> None:
        (self._gauge.labels(**labels) if labels else self._gauge).set(value)
        self._register()

    def add(self, amount: float) -> None:
        self._gauge.inc(amount)
        self._register()

    @contextmanager
    def time(self) -> Iterator[None]:
        """Set the gauge to the seconds that the block takes, unless it fails."""
        start = time.monotonic()
        yield
        self.set(time.monotonic() - start)

    def _register(self) -> None:
        if not self._is_registered:
            self._is_registered = True
            STAGE.register(self._gauge)
