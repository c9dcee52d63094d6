import json
import os
import time
from datetime import timedelta

import pytest

from slipway import keys
from slipway.dataset.annotations import AnnotatedImage, dump
from slipway.dataset.boxes import ImageSize
from slipway.errors import SpecError, StoreUnavailable
from slipway.retention.policy import Limits, parse_age
from slipway.retention.sweep import collect
from slipway.store import sweep_lock
from slipway.store.folder import FolderStore
from slipway.store.interface import list_keys

from services.cli.main import main

DAY = 86400.0
NOW = time.time()
LIMITS = Limits(timedelta(days=90), timedelta(days=180), timedelta(days=30), timedelta(days=7))
OLD, NEW = "a" * 64, "b" * 64  # datasets
RECIPE = "c" * 64
SHARED, ONLY_OLD, NOBODYS, FRESH = "1" * 64, "2" * 64, "3" * 64, "4" * 64  # blobs
ABANDONED = "20260101T000000Z-0123456789abcdef"


class Failing(FolderStore):
    """Fails after a number of deletes, as a killed process would."""

    left = 10**6

    def delete(self, key):
        if key.startswith("locks/"):
            return super().delete(key)
        if self.left <= 0:
            raise KeyboardInterrupt
        self.left -= 1
        return super().delete(key)


def put(store, days, key, content=b"x"):
    store.write(key, content if isinstance(content, bytes) else json.dumps(content).encode())
    os.utime(store.root / key, (NOW - days * DAY,) * 2)


def put_run(store, days, name, sha, state="SUCCEEDED"):
    spec = {"dataset": {"source": "s3://photos/ponds"}}
    envelope = {"apiVersion": "slipway.dev/v1alpha1", "kind": "TrainingRun", "metadata": {"name": name}, "spec": spec}
    put(store, days, keys.run(name), envelope)
    put(store, days, keys.index("2026-01-01T00:00:00Z", name))
    put(store, days, keys.result(name, "ingest"), {"dataset": f"datasets/ponds/{sha}"})
    put(store, days, keys.export_manifest(name))
    put(store, days, keys.log(name, "train", 1, "train-0", 0))
    put(store, days, keys.snapshot(name, "train", 0))
    if state:
        put(store, days, keys.record(name), {"state": state})


def put_dataset(store, days, sha, blobs):
    images = [AnnotatedImage(f"{n}.jpg", n, blob, "jpeg", ImageSize(9, 9), ()) for n, blob in enumerate(blobs, 1)]
    folder = f"datasets/ponds/{sha}"
    put(store, days, keys.annotations(folder, "train", 0, 1), dump(images))
    put(store, days, keys.label_map(folder))
    put(store, days, keys.manifest(folder), {"sha256": sha})


def fill(root, kind=FolderStore):
    """Make a store in which of everything one is old and one is not."""
    store = kind(root)
    put_run(store, 200, "old", OLD)
    put_run(store, 200, "waiting", NEW, state=None)
    put_run(store, 10, "new", NEW)
    put_dataset(store, 200, OLD, [SHARED, ONLY_OLD])
    put_dataset(store, 200, NEW, [SHARED])
    for sha in (OLD, NEW):
        put(store, 200, f"records/{sha}/{RECIPE}/train-00000-of-00001.tfrecord")
        put(store, 200, f"records/{sha}/{RECIPE}/parts/train-00000-of-00001.json")
    for days, blob in ((200, SHARED), (200, ONLY_OLD), (200, NOBODYS), (0.1, FRESH)):
        put(store, days, keys.blob(blob))
    for folder in ("incoming", "uploads"):
        put(store, 20, f"{folder}/{ABANDONED}/archive.json")
    put(store, 200, "checkpoints/initial/weights/ckpt.index")
    put(store, 200, "holiday/photo.jpg")
    put(store, 200, "runs/exp1/events.out.tfevents")  # another program's
    return store


KEPT = sorted([
    "checkpoints/initial/weights/ckpt.index",
    "holiday/photo.jpg",
    "runs/exp1/events.out.tfevents",
    keys.blob(SHARED),
    keys.blob(FRESH),
    *(f"datasets/ponds/{NEW}/{n}" for n in ("annotations/train-00000-of-00001.jsonl", "label_map.pbtxt")),
    f"datasets/ponds/{NEW}/manifest.json",
    f"records/{NEW}/{RECIPE}/train-00000-of-00001.tfrecord",
    f"records/{NEW}/{RECIPE}/parts/train-00000-of-00001.json",
    *(f"index/runs/2026-01-01T00:00:00Z-{run}" for run in ("new", "waiting")),
    *(f"runs/{run}/{n}" for run in ("new", "waiting") for n in ("run.json", "ingest/result.json")),
    *(f"runs/{run}/export/manifest.json" for run in ("new", "waiting")),
    *(f"runs/{run}/logs/train/1/train-0-0000.log" for run in ("new", "waiting")),
    *(f"runs/{run}/metrics/train-0.json" for run in ("new", "waiting")),
    "runs/new/record.json",
])  # fmt: skip


def sweep(store, limits=LIMITS, **options):
    return collect(store, limits, NOW, lambda group: None, **options)


def test_what_is_old_and_unused_goes_and_all_else_stays(tmp_path):
    store = fill(tmp_path)
    removal = sweep(store)
    assert list(list_keys(store)) == KEPT
    assert removal.counts == {"run": 1, "upload": 1, "records": 1, "dataset": 1, "blob": 2}
    assert (removal.unfinished, removal.postponed, removal.failures) == (["waiting"], [], {})


def test_killed_at_any_delete_it_shows_nothing_by_half_and_the_next_time_ends_the_same(tmp_path):
    for deletes in range(100):
        store = fill(tmp_path / str(deletes), Failing)
        store.left = deletes
        try:
            sweep(store)
        except KeyboardInterrupt:
            there = set(list_keys(store))
            assert set(KEPT) <= there
            if keys.run("old") in there:
                assert keys.record("old") in there
            if f"datasets/ponds/{OLD}/manifest.json" in there:
                assert {f"datasets/ponds/{OLD}/label_map.pbtxt", keys.blob(ONLY_OLD)} <= there
            store.left = 10**6
            sweep(store)
            assert list(list_keys(store)) == KEPT
        else:
            break
    assert deletes == 16


def test_a_dry_run_says_the_same_and_removes_nothing(tmp_path):
    store = fill(tmp_path)
    before = list(list_keys(store))
    told = sweep(store, is_dry=True)
    assert list(list_keys(store)) == before
    assert vars(told) == vars(sweep(store))


def test_nothing_that_ingests_take_up_goes_while_one_works(tmp_path):
    store = fill(tmp_path)
    with sweep_lock.ingest_lock(store, "busy"):
        removal = sweep(store)
    assert removal.counts == {"run": 1, "upload": 1}
    assert len(removal.postponed) == 1
    assert store.stat(keys.blob(NOBODYS)).size == 1


def test_an_ingest_that_comes_ends_the_sweep_at_its_next_batch_and_waits_for_that(tmp_path):
    store = fill(tmp_path)
    waits = []

    def batch_ends(_):
        waits.append(may_go_on())
        store.delete(keys.sweep_lock())

    with sweep_lock.sweep_lock(store) as may_go_on:
        assert may_go_on() is True
        with sweep_lock.ingest_lock(store, "comes", sleep=batch_ends):
            assert waits == [False]
    assert sweep_lock.running_ingests(store) == []


def test_a_kept_run_keeps_its_dataset(tmp_path):
    store = fill(tmp_path)
    limits = Limits(LIMITS.runs, LIMITS.datasets, keep=frozenset({"old"}))
    assert sweep(store, limits).counts == {"upload": 1, "records": 1, "blob": 1}


def test_a_run_that_never_ended_goes_when_that_is_asked_for(tmp_path):
    store = fill(tmp_path)
    sweep(store, Limits(LIMITS.runs, unfinished=True))
    assert store.stat(keys.run("waiting")) is None


def test_an_upload_that_a_run_has_yet_to_read_stays(tmp_path):
    store = fill(tmp_path)
    put_run(store, 10, "reads", NEW, state="RUNNING")
    store.delete(keys.result("reads", "ingest"))
    run = json.loads(store.read(keys.run("reads")))
    run["spec"]["dataset"] = {"source": f"s3://slipway/uploads/{ABANDONED}"}
    put(store, 10, keys.run("reads"), run)
    assert "upload" not in sweep(store).counts


def test_a_dataset_that_cannot_be_read_keeps_every_blob(tmp_path):
    store = fill(tmp_path)
    put(store, 200, f"datasets/ponds/{NEW}/annotations/train-00000-of-00001.jsonl", b"{")
    with pytest.raises(SpecError, match=r"annotations/train-00000-of-00001\.jsonl: is damaged"):
        sweep(store)
    assert store.stat(keys.blob(NOBODYS)).size == 1


def test_a_key_that_cannot_be_removed_is_counted_and_does_not_end_it(tmp_path):
    class Stubborn(FolderStore):
        def delete(self, key):
            if key.endswith("label_map.pbtxt"):
                raise StoreUnavailable(f"{key}: try again")
            super().delete(key)

    store = fill(tmp_path, Stubborn)
    removal = sweep(store)
    assert list(removal.failures) == [f"datasets/ponds/{OLD}/label_map.pbtxt"]
    assert removal.counts["blob"] == 2


def test_a_folder_with_nothing_of_slipway_is_refused(tmp_path):
    store = FolderStore(tmp_path)
    put(store, 900, "photos/a.jpg")
    with pytest.raises(SpecError, match="nothing in it is Slipway's"):
        sweep(store)


def test_a_store_of_which_only_lasting_keys_are_left_has_nothing_to_remove(tmp_path):
    store = FolderStore(tmp_path)
    put(store, 900, "checkpoints/initial/weights/ckpt.index")
    put(store, 900, "uploads/20260101T000000Z-0123456789abcdef.json")
    assert sweep(store).counts == {"upload": 1}
    assert sweep(store).counts == {}


@pytest.mark.parametrize(("text", "age"), [("90d", timedelta(90)), ("12h", timedelta(hours=12)), ("never", None)])
def test_an_age_is(text, age):
    assert parse_age(text) == age


@pytest.mark.parametrize("text", ["", "90", "d", "-1d", "1.5d", "90 d", "1y"])
def test_an_age_is_refused(text):
    with pytest.raises(SpecError, match="is not an age; give a number and m, h, d or w"):
        parse_age(text)


def test_the_command_counts_what_it_removed(tmp_path, capsys):
    fill(tmp_path)
    with pytest.raises(SystemExit) as left:
        main(["gc", "--store", str(tmp_path), "--runs", "90d", "--datasets", "180d", "--json"])
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (left.value.code, last["event"], last["counts"]["run"]) == (0, "gc_over", 1)
