"""Collectives and checks of a worker group; real workers join one another in an integration test."""

import threading
from concurrent.futures import Future
from types import SimpleNamespace

import pytest

from slipway.errors import SpecError, Stopped, TransientError

from services.trainer import workers
from services.trainer.workers import WorkerGroup


def group(index=0, size=1, replicas=1):
    return WorkerGroup(SimpleNamespace(num_replicas_in_sync=replicas), index, size)


def test_a_single_worker_gets_its_own_numbers_and_leads():
    assert group().sum_over_workers(1200, True, False) == [1200, 1, 0]
    assert group().is_leader
    assert not group(index=1, size=2).is_leader


def test_a_batch_that_cannot_be_shared_evenly_names_a_size_that_can():
    group(size=2, replicas=4).check_batch(batch_size=8, images=2)
    with pytest.raises(
        SpecError, match="batchSize is 6, which 4 replicas on 2 workers cannot share; ask for a multiple"
    ):
        group(size=2, replicas=4).check_batch(batch_size=6, images=100)


def test_a_worker_without_an_image_is_one_too_many():
    with pytest.raises(SpecError, match="1 images for 2 workers"):
        group(size=2, replicas=2).check_batch(batch_size=2, images=1)


def test_sigterm_ends_the_wait_for_the_others(monkeypatch):
    monkeypatch.setattr(workers, "_POLL_SEC", 0.01)
    stopping = threading.Event()
    threading.Timer(0.05, stopping.set).start()
    with pytest.raises(Stopped, match="waiting for the other workers"):
        workers._wait_for_workers(Future(), 2, stopping)


def test_workers_that_do_not_connect_are_waited_for_only_so_long(monkeypatch):
    monkeypatch.setattr(workers, "_POLL_SEC", 0.01)
    monkeypatch.setattr(workers, "_JOIN_SEC", 0.05)
    with pytest.raises(TransientError, match="not all of the 2 workers came"):
        workers._wait_for_workers(Future(), 2, threading.Event())


def test_an_error_of_the_connection_is_raised():
    connection = Future()
    connection.set_exception(ValueError("no such host"))
    with pytest.raises(ValueError, match="no such host"):
        workers._wait_for_workers(connection, 2, threading.Event())
