import json
import math
import re

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from slipway.store.folder import FolderStore

from services.controller.collectors.runs import RunCollector, exported_runs
from services.controller.collectors.stage_snapshots import SnapshotCache

NOW = 1_769_864_400.0  # 2026-01-31T13:00:00Z
STAGES = {
    "ingest": {"phase": "done", "startedAt": "2026-01-31T12:00:10Z", "finishedAt": "2026-01-31T12:00:40Z"},
    "train": {"phase": "running", "startedAt": "2026-01-31T12:30:00Z"},
}


def run(name="ponds", state="RUNNING", stages=STAGES, **status):
    told = {"state": state, "stages": stages, "attempt": 2} | status
    metadata = {"name": name, "uid": f"uid-{name}", "creationTimestamp": "2026-01-31T12:00:00Z"}
    return {"metadata": metadata, "spec": {"preprocess": {"workers": 2}}, "status": told}


def ended(number, state="SUCCEEDED"):
    return run(f"old-{number:03}", state, {}, finishedAt=f"2026-01-31T12:{number // 60:02}:{number % 60:02}Z")


def write(store, key, *samples):
    found = [{"name": name, "value": value, "labels": labels} for name, value, labels in samples]
    store.write(f"runs/{key}.json", json.dumps({"samples": found}).encode())


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path)


@pytest.fixture
def scrape(store):
    """Return what a controller that has just started exposes about the runs."""

    def scraped(*runs, exposition=generate_latest):
        snapshots = SnapshotCache(store, lambda: NOW)
        snapshots.refresh(exported_runs(runs))
        registry = CollectorRegistry()
        registry.register(RunCollector(lambda: [*runs], snapshots, lambda: NOW))
        text = exposition(registry).decode()
        families = text_string_to_metric_families(text.replace("# EOF\n", ""))
        samples = [sample for family in families for sample in family.samples]
        return {(s.name, *sorted(s.labels.items())): s.value for s in samples}

    return scraped


def of(samples, name):
    return {key[1:]: value for key, value in samples.items() if key[0] == name}


def test_runs_are_counted_by_state_and_a_state_without_runs_is_0(scrape):
    fresh = run("fresh")
    del fresh["status"]
    found = of(scrape(run(), run("b"), fresh, ended(1)), "slipway_runs")
    assert {labels[0][1]: count for labels, count in found.items()} == {
        "PENDING": 1,
        "QUEUED": 0,
        "RUNNING": 2,
        "SUSPENDED": 0,
        "SUCCEEDED": 1,
        "FAILED": 0,
        "CANCELING": 0,
        "CANCELED": 0,
    }


def test_a_run_has_its_state_its_attempt_and_how_long_its_stages_took(scrape):
    found = scrape(run())
    assert of(found, "slipway_run_state") == {(("run", "ponds"), ("state", "RUNNING")): 1}
    assert of(found, "slipway_run_attempt") == {(("run", "ponds"),): 2}
    assert of(found, "slipway_run_stage_duration_seconds") == {
        (("run", "ponds"), ("stage", "ingest")): 30,
        (("run", "ponds"), ("stage", "train")): 1800,
    }


def test_what_a_stage_said_has_the_run_and_the_stage(scrape, store):
    write(store, "ponds/metrics/train-0", ("slipway_training_step", 20, {}))
    write(store, "ponds/metrics/evaluate-0", ("slipway_evaluation_ap", 0.5, {}))
    write(store, "ponds/metrics/ingest-0", ("slipway_dataset_images", 7, {"split": "test"}))
    found = scrape(run())
    assert of(found, "slipway_training_step") == {(("run", "ponds"), ("stage", "train")): 20}
    assert of(found, "slipway_evaluation_ap") == {(("run", "ponds"), ("stage", "evaluate")): 0.5}
    labels = (("run", "ponds"), ("split", "test"), ("stage", "ingest"))
    assert of(found, "slipway_dataset_images") == {labels: 7}


def test_of_several_workers_records_add_up_and_the_first_speaks_for_a_training(scrape, store):
    for worker in (0, 1):
        metrics = f"ponds/metrics/preprocess-{worker}"
        write(
            store,
            metrics,
            ("slipway_records_written", 10, {}),
            ("slipway_stage_progress_timestamp_seconds", worker, {}),
        )
        write(store, f"ponds/metrics/train-{worker}", ("slipway_training_step", 20 + worker, {}))
    stages = STAGES | {"preprocess": {"phase": "done", "startedAt": "2026-01-31T12:10:00Z"}}
    many = run(stages=stages)
    many["spec"]["train"] = {"workers": 2}
    found = scrape(many)
    assert of(found, "slipway_records_written") == {(("run", "ponds"), ("stage", "preprocess")): 20}
    assert of(found, "slipway_training_step") == {(("run", "ponds"), ("stage", "train")): 20}
    assert of(found, "slipway_stage_progress_timestamp_seconds")[("run", "ponds"), ("stage", "preprocess")] == 1


def test_a_loss_that_is_no_number_is_told(scrape, store):
    write(store, "ponds/metrics/train-0", ("slipway_training_loss", "NaN", {}))
    (value,) = of(scrape(run()), "slipway_training_loss").values()
    assert math.isnan(value)


def test_the_stores_of_stages_stand_beside_the_controllers_own(scrape, store):
    write(store, "ponds/metrics/train-0", ("slipway_store_errors_total", 3, {"operation": "read", "error": "denied"}))
    found = of(scrape(run()), "slipway_store_errors_total")
    labels = (("error", "denied"), ("operation", "read"), ("run", "ponds"), ("stage", "train"))
    assert found[labels] == 3


@pytest.mark.parametrize("exposition", [generate_latest, openmetrics], ids=["text", "openmetrics"])
def test_a_family_is_told_once_in_either_form(store, exposition):
    write(store, "ponds/metrics/train-0", ("slipway_store_errors_total", 3, {"operation": "read", "error": "denied"}))
    snapshots = SnapshotCache(store, lambda: NOW)
    snapshots.refresh(exported_runs([run()]))
    registry = CollectorRegistry()
    registry.register(RunCollector(lambda: [run()], snapshots, lambda: NOW))
    names = re.findall(r"(?m)^# TYPE (\S+)", exposition(registry).decode())
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("said", "changed"),
    [
        pytest.param([], "2026-01-31T12:30:00Z", id="the-stage-began"),
        pytest.param([1_769_864_100.0], "2026-01-31T12:55:00Z", id="the-stage-got-on"),
        pytest.param([1_769_860_800.0], "2026-01-31T12:30:00Z", id="before-the-stage-began"),
        pytest.param([4e9], "2026-01-31T13:00:00Z", id="a-clock-that-is-ahead"),
        pytest.param(["Infinity"], "2026-01-31T13:00:00Z", id="no-time"),
        pytest.param(["NaN"], "2026-01-31T12:30:00Z", id="no-number"),
    ],
)
def test_the_last_change_is_the_newest_of_what_is_known_and_never_ahead_of_now(scrape, store, said, changed):
    from services.controller.collectors.stage_snapshots import seconds

    write(store, "ponds/metrics/train-0", *(("slipway_stage_progress_timestamp_seconds", value, {}) for value in said))
    (value,) = of(scrape(run()), "slipway_run_last_change_timestamp_seconds").values()
    assert value == seconds(changed)


def test_live_runs_and_the_newest_hundred_that_have_ended_are_told(scrape):
    runs = [run("live"), *(ended(number, "FAILED" if number % 2 else "SUCCEEDED") for number in range(150))]
    names = {labels[0][1] for labels in of(scrape(*runs), "slipway_run_state")}
    assert names == {"live", *(f"old-{number:03}" for number in range(50, 150))}


def test_a_state_that_is_none_is_told_as_pending(scrape):
    assert of(scrape(run(state='x"} 1\nup')), "slipway_run_state") == {(("run", "ponds"), ("state", "PENDING")): 1}


@pytest.mark.parametrize(
    "stages", [{"train": {"phase": "melted"}}, {"train": "done"}], ids=["unknown-phase", "another-form"]
)
def test_a_run_whose_status_cannot_be_read_does_not_hide_the_others(scrape, stages):
    samples = scrape(run("newer", stages=stages), run("ponds"))
    assert samples["slipway_run_attempt", ("run", "ponds")] == 2
    assert of(samples, "slipway_run_state") == {
        (("run", "newer"), ("state", "PENDING")): 1,
        (("run", "ponds"), ("state", "RUNNING")): 1,
    }
