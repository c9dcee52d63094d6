import json
import math

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge

from slipway.errors import MissingKey
from slipway.metrics.registry import STAGE
from slipway.metrics.stage_gauges import TRAINING_LOSS
from slipway.stage.metric_snapshots import KNOWN, SnapshotIgnored, SnapshotSaver, read_snapshot, take_snapshot
from slipway.store.folder import FolderStore

KEY = "runs/ponds/metrics/train-0.json"
STEP = {"name": "slipway_training_step", "value": 20}


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path)


def read(store, *samples):
    """Write the samples as a pod would, and return what is take_snapshot of them: names, labels and values."""
    store.write(KEY, json.dumps({"samples": samples}).encode())
    return [(s.name, s.labels, s.value) for found in read_snapshot(store, KEY).values() for s in found]


def test_what_a_process_says_is_read_back(store):
    TRAINING_LOSS.set(math.nan)
    SnapshotSaver("ponds", "train", 0).save(store, is_last=True)
    assert json.loads(store.read(KEY))["samples"]
    (loss,) = read_snapshot(store, KEY)["slipway_training_loss"]
    assert math.isnan(loss.value)


def test_every_sample_that_a_stage_can_tell_is_known(store):
    SnapshotSaver("ponds", "train", 0).save(store, is_last=True)
    written = [sample["name"] for sample in json.loads(store.read(KEY))["samples"]]
    assert sorted(written) == sorted(s.name for found in read_snapshot(store, KEY).values() for s in found)


def test_a_snapshot_is_not_written_again_a_moment_later(store):
    SnapshotSaver("ponds", "train", 0).save(store)
    assert store.stat(KEY) is None


def test_the_moments_at_which_counters_were_made_are_left_out():
    registry = CollectorRegistry()
    Counter("boats", "Boats.", registry=registry).inc()
    Gauge("ponds", "Ponds.", ["at"], registry=registry).labels("sea").set(2)
    assert [(s.name, s.labels, s.value) for s in take_snapshot(registry).samples] == [
        ("boats_total", {}, 1),
        ("ponds", {"at": "sea"}, 2),
    ]


def test_a_stage_registers_nothing_that_is_not_known():
    assert {metric.name for metric in STAGE.collect()} <= KNOWN.keys()


@pytest.mark.parametrize(
    "sample",
    [
        pytest.param({"name": "up", "value": 1}, id="another-name"),
        pytest.param({"name": "slipway_run_state", "value": 1}, id="the-controllers-own"),
        pytest.param(STEP | {"labels": {"run": "another"}}, id="another-run"),
        pytest.param({"name": "slipway_dataset_images", "value": 1}, id="a-label-is-missing"),
        pytest.param({"name": "slipway_dataset_images", "labels": {"split": "a\nb 1"}, "value": 1}, id="a-line-break"),
        pytest.param({"name": "slipway_dataset_images", "labels": {"split": "x" * 41}, "value": 1}, id="a-long-label"),
        pytest.param({"name": "slipway_gpu_utilization_ratio", "labels": {"gpu": "all"}, "value": 1}, id="no-gpu"),
        pytest.param(
            {
                "name": "slipway_dataset_findings",
                "labels": {"code": "box_inverted", "severity": "fatal"},
                "value": 1,
            },
            id="no-severity",
        ),
        pytest.param(
            {"name": "slipway_store_errors_total", "labels": {"operation": "read", "error": "denied"}, "value": -1},
            id="a-counter-below-zero",
        ),
        pytest.param(
            {
                "name": "slipway_store_operation_duration_seconds_bucket",
                "labels": {"operation": "read", "le": "0.7"},
                "value": 1,
            },
            id="another-bucket",
        ),
        pytest.param(
            {
                "name": "slipway_store_operation_duration_seconds_sum",
                "labels": {"operation": "read"},
                "value": "Infinity",
            },
            id="an-infinite-sum",
        ),
    ],
)
def test_what_is_not_in_the_table_is_left_out_and_the_rest_is_kept(store, sample):
    assert read(store, sample, STEP) == [("slipway_training_step", {}, 20)]


def test_of_two_samples_of_one_name_the_last_holds(store):
    assert read(store, STEP, STEP | {"value": 30}) == [("slipway_training_step", {}, 30)]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff\xfe", id="no-text"),
        pytest.param(b"[" * 60_000, id="deep"),
        pytest.param(b"[]", id="a-list"),
        pytest.param(b'{"samples": [{"name": "slipway_training_step", "value": "many"}]}', id="no-number"),
        pytest.param(b'{"samples": [{"name": "slipway_training_step", "value": {}}]}', id="no-value"),
        pytest.param(json.dumps({"samples": [STEP] * 401}).encode(), id="many"),
        pytest.param(json.dumps({"samples": [STEP | {"labels": dict.fromkeys("abcde", "x")}]}).encode(), id="labels"),
        pytest.param(json.dumps({"samples": [STEP], "more": "x" * 70_000}).encode(), id="large"),
    ],
)
def test_what_is_no_snapshot_is_ignored_and_the_key_is_named(store, content):
    store.write(KEY, content)
    with pytest.raises(SnapshotIgnored, match=KEY):
        read_snapshot(store, KEY)


def test_a_large_object_is_not_read_whole(store, monkeypatch):
    store.write(KEY, b"x" * 1_000_000)
    read = []
    original = store.stream

    def stream(key, start, end):
        content = original(key, start, end)
        return type(content)(
            content.stat, (read.append(len(chunk)) or chunk for chunk in content.chunks), content.close
        )

    monkeypatch.setattr(store, "stream", stream)
    with pytest.raises(SnapshotIgnored, match="has 1000000 bytes, at most 65536 are read"):
        read_snapshot(store, KEY)
    assert sum(read) == 65537


def test_an_absent_snapshot_is_missing(store):
    with pytest.raises(MissingKey):
        read_snapshot(store, KEY)
