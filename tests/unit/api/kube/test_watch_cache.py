"""Reads come from memory while the watch is connected, and from the cluster while it is not."""

import threading
import time
from contextlib import suppress

import pytest

from slipway.errors import ClusterUnavailable, Conflict
from slipway.kube.cache import ObjectCache
from tests.unit.api.conftest import SPEC

from services.api.kube.watch_cache import CachedRuns


@pytest.fixture
def watched(cluster):
    """A watch that has been connected, and is until the test ends."""
    runs = CachedRuns(cluster)
    thread = threading.Thread(target=lambda: suppressed(runs.follow))
    thread.start()
    wait(lambda: runs._cache is not None)
    yield runs
    cluster.hang_up()
    thread.join()


def suppressed(call):
    with suppress(ClusterUnavailable):
        call()


def wait(is_so):
    end = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.005)


def make(runs, name="ponds"):
    return runs.create({"metadata": {"name": name}, "spec": SPEC})


def test_what_others_change_is_seen_without_asking(watched, cluster):
    make(cluster)
    wait(lambda: watched.list() != [])
    cluster.report("ponds", state="RUNNING")
    wait(lambda: watched.list()[0].get("status") == {"state": "RUNNING"})
    asked = cluster.reads
    assert watched.get("ponds")["status"] == {"state": "RUNNING"}
    assert cluster.reads == asked
    cluster.delete("ponds")
    wait(lambda: watched.list() == [])


def test_what_was_written_is_seen_at_once(watched):
    made = make(watched)
    assert watched.list() == [made]
    patched = watched.patch("ponds", {"suspend": True}, made["metadata"]["resourceVersion"])
    assert watched.get("ponds") == patched
    watched.delete("ponds")
    assert watched.get("ponds") is None


def test_what_is_not_known_yet_is_asked_for(watched, cluster):
    cluster._changes.put(None)  # the watch will tell of nothing more
    make(cluster)
    assert watched.get("ponds") is not None


def test_without_a_watch_every_read_asks(cluster):
    runs = CachedRuns(cluster)
    make(cluster)
    assert [found["metadata"]["name"] for found in runs.list()] == ["ponds"]
    assert runs.get("ponds") is not None
    assert cluster.reads == 2


def test_an_older_state_does_not_replace_a_newer(watched, cluster):
    first = make(watched)
    newer = watched.patch("ponds", {"suspend": True}, first["metadata"]["resourceVersion"])
    watched._apply({"type": "MODIFIED", "object": first})
    assert watched.get("ponds") == newer


def test_a_conflict_makes_the_next_read_ask(cluster):
    runs = CachedRuns(cluster)
    made = make(cluster)
    runs._cache, runs._version = ObjectCache(), 1
    runs._cache.put("TrainingRun", made)
    cluster.report("ponds", state="RUNNING")
    with pytest.raises(Conflict):
        runs.patch("ponds", {"cancel": True}, made["metadata"]["resourceVersion"])
    assert runs.get("ponds")["status"] == {"state": "RUNNING"}


def test_what_was_made_and_has_gone_meanwhile_is_not_kept(cluster):
    runs = CachedRuns(cluster)
    made = make(cluster)
    runs._cache, runs._version = ObjectCache(), 2  # the watch has told of its end before the answer came
    runs._put(made)
    assert runs.list() == []


def test_a_watch_that_is_lost_is_taken_up_again(cluster, monkeypatch):
    monkeypatch.setattr("services.api.kube.watch_cache._PAUSE_SEC", 0.01)
    make(cluster)
    runs = CachedRuns(cluster)
    thread = runs.start()
    wait(lambda: runs._cache is not None)
    cluster.hang_up()
    cluster.is_away = True
    wait(lambda: runs._cache is None)
    cluster.is_away = False
    wait(lambda: runs._cache is not None)
    assert [found["metadata"]["name"] for found in runs.list()] == ["ponds"]
    runs.stop()
    cluster.hang_up()
    thread.join(5)
    assert not thread.is_alive()
