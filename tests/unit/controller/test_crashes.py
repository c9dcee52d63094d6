"""The controller is killed between any two of its calls: the run ends all the same, and no Job is made twice.

Each of two controllers, one of which runs by mistake, sees runs, Jobs and pods as its own watches have delivered them:
each kind as of a different time, which may be long ago.
"""

import random
from collections import Counter

import pytest

from slipway.errors import SlipwayError, StoreUnavailable
from slipway.store.folder import FolderStore
from tests.fakes.cluster import FakeCluster, failed_pod

from services.controller.context import ControllerContext
from services.controller.kube.informer import KINDS, CachedCluster
from services.controller.reconcile import reconcile
from services.controller.settings import Settings


class Killed(BaseException):
    """As SIGKILL: nothing of the controller's runs after it."""


class Faulty:
    """Stands before a cluster or a store: now and then a call kills the caller, before or after, or has no answer."""

    def __init__(self, real, dice, rate):
        self._real, self._dice, self.rate = real, dice, rate

    def __getattr__(self, name):
        method = getattr(self._real, name)

        def call(*arguments, **options):
            fault = self._dice.random() / self.rate if self.rate else 1.0
            if fault < 0.3:
                raise Killed
            if fault < 0.6:
                raise StoreUnavailable("no answer; try again")
            answer = method(*arguments, **options)
            if fault < 1.0:
                raise Killed
            return answer

        return call


class Controller:
    """One process: what it has seen dies with it."""

    def __init__(self, world):
        self._world = world
        self._begin()

    def _begin(self):
        self._watched = CachedCluster(self._world.faulty[0])
        self._context = ControllerContext(
            self._watched, self._world.faulty[1], self._world.settings, lambda: "2026-01-31T12:00:00Z"
        )
        self._seen = {}
        for kind in KINDS:
            self.deliver_events(kind)

    def look(self):
        try:
            reconcile("ponds", self._context)
        except Killed:
            self._begin()
        except SlipwayError:
            pass

    def deliver_events(self, kind):
        """Deliver all pending watch events of objects of one kind."""
        for page in self._world.cluster.pages(kind):
            manifests = {manifest["metadata"]["uid"]: manifest for manifest in page["items"]}
        for uid, manifest in self._seen.get(kind, {}).items():
            if uid not in manifests:
                self._watched.cache.remove(kind, manifest)
        for manifest in manifests.values():
            self._watched.cache.put(kind, manifest)
        self._seen[kind] = manifests


class World:
    """A cluster, a store and two controllers."""

    def __init__(self, seed, folder, settings):
        self.dice, self.settings = random.Random(seed), settings
        self.cluster, self.store = FakeCluster(), FolderStore(folder)
        self.faulty = [Faulty(real, self.dice, 0.15) for real in (self.cluster, self.store)]
        self.cluster.apply("ponds")
        self.controllers = [Controller(self), Controller(self)]

    def live(self, turns, fails=lambda job: None):
        for _ in range(turns):
            moment = self.dice.random()
            if moment < 0.4:
                self.dice.choice(self.controllers).look()
            elif moment < 0.8:
                self.dice.choice(self.controllers).deliver_events(self.dice.choice(KINDS))
            else:
                self.cluster.tick(self.store, fails)

    def calm(self, fails=lambda job: None):
        for fault in self.faulty:
            fault.rate = 0
        for _ in range(60):
            for controller in self.controllers:
                for kind in KINDS:
                    controller.deliver_events(kind)
                controller.look()
            self.cluster.tick(self.store, fails)

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
    world.live(300)
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
    world.live(200, fails)
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
    world.live(40 + 2 * seed)
    world.cluster.apply("ponds", cancel=True)
    world.live(60)
    world.calm()
    assert world.status["state"] in ("CANCELED", "SUCCEEDED")
    assert world.cluster.made_jobs == {}
    assert set(world.made().values()) <= {1}


@pytest.mark.parametrize("seed", range(30))
def test_suspending_and_resuming_at_any_moment_loses_nothing(seed, tmp_path, settings):
    world = World(seed, tmp_path, settings)
    for suspend in (True, False, True, False):
        world.live(40)
        world.cluster.apply("ponds", suspend=suspend)
    world.calm()
    assert world.status["state"] == "SUCCEEDED"
    assert set(world.made().values()) == {1}
