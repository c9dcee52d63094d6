"""The table of metrics, compared with the metrics that the processes register."""

import re
from pathlib import Path
from typing import NamedTuple

from prometheus_client.metrics import MetricWrapperBase

from slipway.stage.metric_snapshots import KNOWN
from slipway.store.folder import FolderStore

from services.api.metrics import Metrics
from services.controller import metrics as controller
from services.controller.collectors.runs import RunCollector
from services.controller.collectors.stage_snapshots import SnapshotCache
from services.detector.serving.metrics import Metrics as DetectorMetrics

REFERENCE = (Path(__file__).parents[2] / "docs/reference.md").read_text()
RUN = {
    "metadata": {"name": "ponds", "creationTimestamp": "2026-01-31T12:00:00Z"},
    "spec": {"dataset": {"source": "s3://photos/ponds"}},
    "status": {"state": "RUNNING", "stages": {"train": {"phase": "running", "startedAt": "2026-01-31T12:00:00Z"}}},
}


class Row(NamedTuple):
    name: str
    type: str
    labels: tuple[str, ...]
    help: str


def registered(collectors):
    metrics = [collector for collector in collectors if isinstance(collector, MetricWrapperBase)]
    return {row(c._name, c._type, c._labelnames, c._documentation) for c in metrics}


def row(name, type, labels, help):
    return Row(name + "_total" * (type == "counter"), type, tuple(labels), help)


def run_metrics(tmp_path):
    """Return the metrics that the controller exports of runs without a stage's snapshot."""
    collector = RunCollector(lambda: [RUN], SnapshotCache(FolderStore(tmp_path), lambda: 0.0), lambda: 2e9)
    families = [family for family in collector.collect() if family.name not in KNOWN]
    return {row(family.name, family.type, family.samples[0].labels, family.documentation) for family in families}


def exported(tmp_path):
    stages = {row(known.name, known.type, known.labels, known.help) for known in KNOWN.values()}
    servers = [*Metrics().registry._collector_to_names, *DetectorMetrics().registry._collector_to_names]
    return stages | registered(servers) | registered(vars(controller).values()) | run_metrics(tmp_path)


def documented():
    section = re.split(r"\n## ", REFERENCE.split("\n## Prometheus metrics\n")[1])[0]
    cells = [[c.strip() for c in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("| `")]
    return {
        Row(name.strip("`"), type, tuple(re.findall(r"\w+", labels)), help) for name, type, _, labels, help, _ in cells
    }


def test_the_reference_lists_exactly_the_metrics_that_processes_register(tmp_path):
    assert documented() == exported(tmp_path)


def test_names_have_the_prefix_and_counters_alone_end_in_total(tmp_path):
    for metric in exported(tmp_path):
        assert re.fullmatch(r"slipway_[a-z0-9_]+", metric.name)
        assert metric.name.endswith("_total") == (metric.type == "counter")


def test_only_the_controllers_metrics_of_runs_have_a_run_as_label(tmp_path):
    assert {metric.name for metric in exported(tmp_path) if "run" in metric.labels} == {
        metric.name for metric in run_metrics(tmp_path) if metric.name != "slipway_runs"
    }
