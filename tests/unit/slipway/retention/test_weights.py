"""Retention of initial checkpoints."""

from dataclasses import replace
from datetime import timedelta

import pytest

from slipway import keys
from slipway.store.folder import FolderStore
from slipway.store.interface import list_keys
from tests.fakes.plans import small_plan
from tests.unit.slipway.retention.test_sweep import LIMITS, NEW, put, put_run, sweep

FETCHED, SENT, USED, NEWER = ("5" * 64, "6" * 64, "7" * 64, "8" * 64)
WEIGHTS = replace(LIMITS, weights=timedelta(days=90))


def put_weights(store, days, digest, address=None, user=""):
    put(store, days, f"{keys.initial_checkpoint(digest)}/ckpt-5.data-00000-of-00001")
    put(store, days, f"{keys.initial_checkpoint(digest)}/ckpt-5.index")
    if address:
        entry = {"address": address, "sha256": digest, "bytes": 2, "kept_at": "2026-01-01T00:00:00Z", "user": user}
        put(store, days, keys.kept_weights(digest), entry)


@pytest.fixture
def store(tmp_path):
    store = FolderStore(tmp_path)
    put_weights(store, 200, FETCHED, "https://example.org/w.tar.gz")
    put_weights(store, 200, SENT, "coco", user="crane")
    put_weights(store, 200, USED)
    put_weights(store, 10, NEWER, "https://example.org/x.tar.gz")
    put_run(store, 10, "waiting", NEW, state=None)
    put(store, 10, keys.plan("waiting"), small_plan(initial_checkpoint_sha256=USED).dump())
    return store


def digests(store):
    return {key.split("/")[2] for key in list_keys(store, "checkpoints/initial")}


def test_old_weights_go_unless_a_user_sent_them_or_a_run_needs_them(store):
    removal = sweep(store, WEIGHTS)
    assert removal.counts == {"weights": 1}
    assert digests(store) == {SENT, USED, NEWER}
    assert sorted(list_keys(store, keys.KEPT_WEIGHTS)) == [keys.kept_weights(SENT), keys.kept_weights(NEWER)]


def test_weights_are_kept_by_default(store):
    assert sweep(store).counts == {}
    assert digests(store) == {FETCHED, SENT, USED, NEWER}


def test_weights_of_an_ended_run_go(store):
    put(store, 10, keys.record("waiting"), {"state": "SUCCEEDED"})
    sweep(store, WEIGHTS)
    assert USED not in digests(store)


def test_incomplete_copy_goes_after_a_day(store):
    put(store, 0.1, f"{keys.initial_checkpoint('9' * 64)}/ckpt-5.data-00000-of-00001")
    sweep(store)
    assert "9" * 64 in digests(store)
    put(store, 2, f"{keys.initial_checkpoint('9' * 64)}/ckpt-5.data-00000-of-00001")
    assert sweep(store).counts == {"weights": 1}
    assert "9" * 64 not in digests(store)


def test_addresses_and_index_go_before_the_rest(store, monkeypatch):
    deleted = []
    monkeypatch.setattr(store, "delete", deleted.append)
    sweep(store, WEIGHTS)
    suffixes = [key.rpartition(".")[2] for key in deleted if FETCHED in key]
    assert (sorted(suffixes[:2]), suffixes[2:]) == (["index", "json"], ["data-00000-of-00001"])
