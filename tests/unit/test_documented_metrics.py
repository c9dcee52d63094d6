"""The table of metrics is held to what the processes really register, in both directions."""

import re
from pathlib import Path
from typing import NamedTuple

from prometheus_client.metrics import MetricWrapperBase

from slipway.stage.metric_snapshots import KNOWN
from slipway.store.folder import FolderStore

from services.api.metrics import Metrics
from services.controller import metrics as controller
from services.controller.collectors.runs import Fleet
from services.controller.collectors.stage_snapshots import Told
from services.detector.serving.metrics import Metrics as DetectorMetrics

REFERENCE = (Path(__file__).parents[2] / "docs/reference.md").read_text()
RUN = {
    "metadata": {"name": "ponds", "creationTimestamp": "2026-01-31T12:00:00Z"},
    "status": {"state": "RUNNING", "stages": {"train": {"startedAt": "2026-01-31T12:00:00Z"}}},
}


class Row(NamedTuple):
    name: str
    type: str
    labels: tuple[str, ...]
    help: str


def registered(collectors):
    found = [collector for collector in collectors if isinstance(collector, MetricWrapperBase)]
    return {row(c._name, c._type, c._labelnames, c._documentation) for c in found}


def row(name, type, labels, help):
    return Row(name + "_total" * (type == "counter"), type, tuple(labels), help)


def of_runs(tmp_path):
    """What the controller tells of runs without being told by a stage."""
    fleet = Fleet(lambda: [RUN], Told(FolderStore(tmp_path), lambda: 0.0), lambda: 2e9)
    told = [family for family in fleet.collect() if family.name not in KNOWN]
    return {row(family.name, family.type, family.samples[0].labels, family.documentation) for family in told}


def exposed(tmp_path):
    stages = {row(known.name, known.type, known.labels, known.help) for known in KNOWN.values()}
    served = [*Metrics().registry._collector_to_names, *DetectorMetrics().registry._collector_to_names]
    return stages | registered(served) | registered(vars(controller).values()) | of_runs(tmp_path)


def documented():
    section = re.split(r"\n## ", REFERENCE.split("\n## Prometheus metrics\n")[1])[0]
    cells = [[c.strip() for c in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("| `")]
    return {
        Row(name.strip("`"), type, tuple(re.findall(r"\w+", labels)), help) for name, type, _, labels, help, _ in cells
    }


def test_every_metric_is_documented_as_it_is_and_every_documented_one_is_there(tmp_path):
    assert documented() == exposed(tmp_path)


def test_names_have_the_prefix_and_counters_alone_end_in_total(tmp_path):
    for found in exposed(tmp_path):
        assert re.fullmatch(r"slipway_[a-z0-9_]+", found.name)
        assert found.name.endswith("_total") == (found.type == "counter")


def test_only_what_is_told_of_runs_has_a_run_as_label(tmp_path):
    assert {found.name for found in exposed(tmp_path) if "run" in found.labels} == {
        found.name for found in of_runs(tmp_path) if found.name != "slipway_runs"
    }
