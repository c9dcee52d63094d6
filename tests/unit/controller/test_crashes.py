"""The controller is killed between any two of its calls: the run ends all the same, and no Job is made twice."""

import random
from collections import Counter
from contextlib import suppress

import pytest

from slipway.errors import SlipwayError, StoreUnavailable
from slipway.store import FolderStore
from tests.fake_cluster import FakeCluster, failed_pod

from services.controller.reconcile import Desk, reconcile
from services.controller.settings import Settings


class Killed(BaseException):
    """As SIGKILL: nothing of the controller's runs after it."""


class Faulty:
    """Stands before a cluster or a store: now and then a call kills the caller, before or after, or has no answer."""

    def __init__(self, real, dice, rate):
        self._real, self._dice, self.rate = real, dice, rate

    def __getattr__(self, name):
        method = getattr(self._real, name)

        def call(*arguments):
            fault = self._dice.random() / self.rate if self.rate else 1.0
            if fault < 0.3:
                raise Killed
            if fault < 0.6:
                raise StoreUnavailable("no answer; try again")
            answer = method(*arguments)
            if fault < 1.0:
                raise Killed
            return answer

        return call


class World:
    """A cluster, a store and two controllers, one of which is there by mistake."""

    def __init__(self, seed, folder, settings):
        self.dice = random.Random(seed)
        self.cluster, self.store = FakeCluster(), FolderStore(folder)
        self.faulty = [Faulty(real, self.dice, 0.15) for real in (self.cluster, self.store)]
        self.desk = Desk(*self.faulty, settings, lambda: "2026-01-31T12:00:00Z")
        self.cluster.apply("ponds")

    def live(self, turns, fails=lambda job: None):
        for _ in range(turns):
            if self.dice.random() < 0.7:
                self._look()
            else:
                self.cluster.tick(self.store, fails)

    def calm(self, fails=lambda job: None):
        for fault in self.faulty:
            fault.rate = 0
        for _ in range(60):
            self._look()
            self.cluster.tick(self.store, fails)

    def _look(self):
        with suppress(Killed, SlipwayError):
            reconcile("ponds", self.desk)

    @property
    def status(self):
        return self.cluster.objects["ponds"]["status"]

    def made(self):
        return Counter(name for verb, name in self.cluster.log if verb == "create")


@pytest.fixture
def settings():
    images = {"data": "data:1", "tf": "tf:1"}
    return Settings.model_validate(
        {"store": {"url": "s3://slipway", "secret": "s3"}, "images": images, "pools": {"cpu": {}}}
    )


@pytest.mark.parametrize("seed", range(60))
def test_a_run_succeeds_and_makes_each_job_once(seed, tmp_path, settings):
    world = World(seed, tmp_path, settings)
    world.live(150)
    world.calm()
    stages = ("ingest", "preprocess", "train", "export", "detect")
    assert (world.status["state"], world.status["settled"]) == ("SUCCEEDED", 1)
    assert world.made() == {f"ponds-{stage}-1": 1 for stage in stages}
    assert world.cluster.made_jobs == {}


@pytest.mark.parametrize("seed", range(30))
def test_a_failure_is_known_though_its_job_expires_at_once(seed, tmp_path, settings):
    def fails(job):
        return failed_pod("trainer", message="no memory") if job == "ponds-train-1" else None

    world = World(seed, tmp_path, settings)
    world.live(100, fails)
    world.calm(fails)
    assert (world.status["state"], world.status["reason"]) == ("FAILED", "no memory")
    assert world.made()["ponds-train-1"] == 1
    world.cluster.apply("ponds", attempt=2)
    world.calm(fails)
    assert world.status["state"] == "SUCCEEDED"
    assert set(world.made().values()) == {1}


@pytest.mark.parametrize("seed", range(30))
def test_a_cancelled_run_leaves_no_job(seed, tmp_path, settings):
    world = World(seed, tmp_path, settings)
    world.live(20 + seed)
    world.cluster.apply("ponds", cancel=True)
    world.live(30)
    world.calm()
    assert world.status["state"] in ("CANCELED", "SUCCEEDED")
    assert world.cluster.made_jobs == {}
    assert set(world.made().values()) <= {1}


@pytest.mark.parametrize("seed", range(30))
def test_suspending_and_resuming_at_any_moment_loses_nothing(seed, tmp_path, settings):
    world = World(seed, tmp_path, settings)
    for suspend in (True, False, True, False):
        world.live(20)
        world.cluster.apply("ponds", suspend=suspend)
    world.calm()
    assert world.status["state"] == "SUCCEEDED"
    assert set(world.made().values()) == {1}
