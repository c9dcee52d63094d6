"""What several workers have to agree on; how they meet is tested with real ones."""

import threading
from concurrent.futures import Future
from types import SimpleNamespace

import pytest

from slipway.errors import SpecError, Stopped, TransientError

from services.trainer import workers
from services.trainer.workers import Team


def team(index=0, size=1, replicas=1):
    return Team(SimpleNamespace(num_replicas_in_sync=replicas), index, size)


def test_one_worker_agrees_with_itself_and_leads():
    assert team().agree(1200, True, False) == [1200, 1, 0]
    assert team().leads
    assert not team(index=1, size=2).leads


def test_a_batch_that_cannot_be_shared_evenly_names_a_size_that_can():
    team(size=2, replicas=4).share(batch_size=8, images=2)
    with pytest.raises(
        SpecError, match="batchSize is 6, which 4 replicas on 2 workers cannot share; ask for a multiple"
    ):
        team(size=2, replicas=4).share(batch_size=6, images=100)


def test_a_worker_without_an_image_is_one_too_many():
    with pytest.raises(SpecError, match="1 images for 2 workers"):
        team(size=2, replicas=2).share(batch_size=2, images=1)


def test_sigterm_ends_the_wait_for_the_others(monkeypatch):
    monkeypatch.setattr(workers, "_POLL_SEC", 0.01)
    stopping = threading.Event()
    threading.Timer(0.05, stopping.set).start()
    with pytest.raises(Stopped, match="waiting for the other workers"):
        workers._await(Future(), 2, stopping)


def test_workers_that_do_not_come_are_not_awaited_for_ever(monkeypatch):
    monkeypatch.setattr(workers, "_POLL_SEC", 0.01)
    monkeypatch.setattr(workers, "_JOIN_SEC", 0.05)
    with pytest.raises(TransientError, match="not all of the 2 workers came"):
        workers._await(Future(), 2, threading.Event())


def test_what_the_joining_raises_is_heard():
    joining = Future()
    joining.set_exception(ValueError("no such host"))
    with pytest.raises(ValueError, match="no such host"):
        workers._await(joining, 2, threading.Event())
