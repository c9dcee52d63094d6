import json

import pytest
from prometheus_client import REGISTRY

from slipway.errors import StoreUnavailable
from slipway.store.folder import FolderStore

from services.controller.collectors.stage_snapshots import SnapshotCache
from services.controller.kube.objects import TrainingRunObject

START, END = "2026-01-31T12:00:00Z", "2026-01-31T12:30:00Z"
AT_END = 1_769_862_600.0
STEP = ("slipway_training_step", ())


class Counting(FolderStore):
    """Counts what is read, and does not answer while it is away."""

    reads = 0
    is_away = False

    def stream(self, key, start=0, end=None):
        self.reads += 1
        if self.is_away:
            raise StoreUnavailable(f"{key}: no answer; try again")
        return super().stream(key, start, end)


@pytest.fixture
def store(tmp_path):
    return Counting(tmp_path)


class Clock:
    now = AT_END

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def snapshots(store, clock):
    return SnapshotCache(store, clock)


def run(name="ponds", end=None, workers=1, stage="export"):
    stood = {"phase": "done" if end else "running", "startedAt": START} | ({"finishedAt": end} if end else {})
    manifest = {"metadata": {"name": name}, "spec": {stage: {"workers": workers}}, "status": {"stages": {stage: stood}}}
    return TrainingRunObject.model_validate(manifest)


def say(store, step, key="ponds/metrics/export-0"):
    store.write(f"runs/{key}.json", json.dumps({"samples": [{"name": STEP[0], "value": step}]}).encode())


def test_a_stage_that_runs_is_read_at_every_look(store, snapshots):
    for step in (10, 20):
        say(store, step)
        snapshots.refresh([run()])
    assert snapshots.values() == {("ponds", "export"): {STEP: 20}}
    assert store.reads == 2


def test_a_stage_that_has_ended_is_read_until_its_last_snapshot_is_sure_to_be_there(store, snapshots, clock):
    say(store, 10)
    snapshots.refresh([run(end=END)])
    say(store, 20)
    clock.now += 61
    snapshots.refresh([run(end=END)])
    snapshots.refresh([run(end=END)])
    assert snapshots.values()["ponds", "export"] == {STEP: 20}
    assert store.reads == 2


def test_a_stage_that_begins_again_is_read_again(store, snapshots, clock):
    clock.now += 61
    say(store, 10)
    snapshots.refresh([run(end=END)])
    say(store, 20)
    snapshots.refresh([run()])
    assert snapshots.values()["ponds", "export"] == {STEP: 20}


def test_a_controller_that_starts_again_reads_what_ended_stages_said(store, clock):
    say(store, 10)
    clock.now += 3600
    snapshots = SnapshotCache(store, clock)
    snapshots.refresh([run(end=END)])
    assert snapshots.values()["ponds", "export"] == {STEP: 10}


def test_a_stage_that_has_not_begun_is_not_read(store, snapshots):
    for status in ({"stages": {"train": {"phase": "queued"}}}, {}):
        manifest = {"metadata": {"name": "ponds"}, "spec": {}, "status": status}
        snapshots.refresh([TrainingRunObject.model_validate(manifest)])
    assert store.reads == 0


def test_each_worker_is_read_and_the_evaluator_beside_the_trainer(store, snapshots):
    snapshots.refresh([run(stage="train", workers=3)])
    assert store.reads == 4
    say(store, 10, "ponds/metrics/evaluate-0")
    snapshots.refresh([run(stage="train", workers=3)])
    assert snapshots.values() == {("ponds", "evaluate"): {STEP: 10}}


def test_what_was_said_stays_while_the_store_is_away(store, snapshots):
    say(store, 10)
    snapshots.refresh([run()])
    store.is_away = True
    with pytest.raises(StoreUnavailable):
        snapshots.refresh([run()])
    assert snapshots.values()["ponds", "export"] == {STEP: 10}


def test_an_ended_stage_that_could_not_be_read_is_read_later(store, snapshots, clock):
    say(store, 10)
    clock.now += 61
    store.is_away = True
    with pytest.raises(StoreUnavailable):
        snapshots.refresh([run(end=END)])
    store.is_away = False
    snapshots.refresh([run(end=END)])
    assert snapshots.values()["ponds", "export"] == {STEP: 10}


def test_a_run_that_is_no_longer_shown_is_forgotten(store, snapshots):
    say(store, 10)
    snapshots.refresh([run()])
    snapshots.refresh([])
    assert snapshots.values() == {}


def test_a_hostile_snapshot_is_counted_and_told_of_once_and_the_other_runs_are_told(store, snapshots, caplog):
    before = REGISTRY.get_sample_value("slipway_controller_snapshots_ignored_total")
    say(store, 10, "sea/metrics/export-0")
    store.write("runs/ponds/metrics/export-0.json", b'{"samples": [' + b"[" * 60_000)
    for _ in range(2):
        snapshots.refresh([run(), run("sea")])
    assert snapshots.values() == {("sea", "export"): {STEP: 10}}
    assert REGISTRY.get_sample_value("slipway_controller_snapshots_ignored_total") == before + 2
    assert [record.fields["run"] for record in caplog.records if record.getMessage() == "snapshot_ignored"] == ["ponds"]


def test_a_run_cannot_speak_for_another(store, snapshots):
    store.write(
        "runs/ponds/metrics/export-0.json",
        json.dumps({"samples": [{"name": STEP[0], "labels": {"run": "sea"}, "value": 1}]}).encode(),
    )
    snapshots.refresh([run()])
    assert snapshots.values() == {("ponds", "export"): {}}


def test_what_a_stage_asked_of_the_store_is_told_until_a_minute_after_its_end(store, snapshots, clock):
    errors = {
        "name": "slipway_store_errors_total",
        "labels": {"operation": "read", "error": "denied"},
        "value": 3,
    }
    samples = json.dumps({"samples": [errors, {"name": STEP[0], "value": 10}]})
    store.write("runs/ponds/metrics/export-0.json", samples.encode())
    snapshots.refresh([run(end=END)])
    assert len(snapshots.values()["ponds", "export"]) == 2
    clock.now += 61
    snapshots.refresh([run(end=END)])
    assert snapshots.values()["ponds", "export"] == {STEP: 10}
