import pytest

from slipway.artifacts.outcome import RunStatus
from slipway.errors import Conflict
from tests.fakes.cluster import FakeCluster, failed_pod

from services.controller.kube.informer import CachedCluster


def run(version, **status):
    metadata = {
        "name": "ponds",
        "uid": "u1",
        "resourceVersion": str(version),
        "managedFields": [{"manager": "kubectl"}],
    }
    return {"kind": "TrainingRun", "metadata": metadata, "spec": {"attempt": 1}, "status": status}


def job(version, uid="j1", **status):
    labels = {"slipway.dev/run": "ponds", "slipway.dev/stage": "train", "slipway.dev/attempt": "1"}
    metadata = {"name": "ponds-train-1", "uid": uid, "resourceVersion": str(version), "labels": labels}
    return {"metadata": metadata, "spec": {"suspend": False, "template": {"spec": {}}}, "status": status}


def pod(version, phase):
    labels = {"batch.kubernetes.io/job-name": "ponds-train-1"}
    metadata = {"name": "ponds-train-1-x", "uid": "p1", "resourceVersion": str(version), "labels": labels}
    return {"metadata": metadata, "spec": {"nodeName": "node1", "containers": []}, "status": {"phase": phase}}


@pytest.fixture
def cache():
    return CachedCluster(FakeCluster()).cache


@pytest.fixture
def server():
    return FakeCluster()


@pytest.fixture
def watched(server):
    return CachedCluster(server)


def test_only_what_is_read_is_kept(cache):
    cache.put("Job", job(7, active=1, startTime="2026-01-31T12:00:01Z"))
    assert cache.owned_by("Job", "ponds") == [
        {
            "metadata": job(7)["metadata"],
            "spec": {"suspend": False},
            "status": {"startTime": "2026-01-31T12:00:01Z"},
        }
    ]


def test_the_newer_of_two_versions_stays_by_number(cache):
    assert cache.put("TrainingRun", run(10, state="RUNNING")) is True
    assert cache.put("TrainingRun", run(9, state="PENDING")) is False
    assert cache.owned_by("TrainingRun", "ponds")[0]["status"] == {"state": "RUNNING"}


@pytest.mark.parametrize(
    ("change", "is_new"),
    [
        pytest.param({"startTime": "2026-01-31T12:00:01Z", "ready": 1}, False, id="what-nobody-reads"),
        pytest.param({"startTime": "2026-01-31T12:00:01Z", "succeeded": 1}, True, id="what-a-look-reads"),
    ],
)
def test_a_change_is_news_when_a_look_would_see_it(cache, change, is_new):
    cache.put("Job", job(7, startTime="2026-01-31T12:00:01Z"))
    assert cache.put("Job", job(8, **change)) is is_new


def test_pods_are_kept_while_they_wait_and_when_they_have_failed(cache):
    assert cache.put("Pod", pod(1, "Pending")) is True
    assert [p["status"]["phase"] for p in cache.owned_by("Pod", "ponds-train-1")] == ["Pending"]
    assert cache.put("Pod", pod(2, "Running")) is True
    assert cache.owned_by("Pod", "ponds-train-1") == []
    assert cache.put("Pod", pod(3, "Running")) is False
    assert cache.put("Pod", pod(4, "Failed")) is True


def test_what_is_gone_is_forgotten_and_its_successor_of_the_same_name_is_not(cache):
    cache.put("Job", job(7, uid="j1"))
    cache.put("Job", job(9, uid="j2"))
    assert cache.remove("Job", job(8, uid="j1")) is False
    assert cache.remove("Job", job(9, uid="j2")) is True
    assert cache.owned_by("Job", "ponds") == []


def test_a_list_drops_what_it_does_not_have_but_nothing_that_is_younger(cache):
    cache.put("Job", job(7, uid="j1"))
    cache.remove_absent("Job", set(), "6")
    assert len(cache.owned_by("Job", "ponds")) == 1
    cache.remove_absent("Job", set(), "7")
    assert cache.owned_by("Job", "ponds") == []


def test_an_end_that_no_watch_told_of_is_found_by_refreshing(server, watched):
    server.apply("ponds")
    server.create({"kind": "Job"} | job(0))
    watched.refresh()
    assert [len(watched.jobs("ponds")), watched.run("ponds").name] == [1, "ponds"]
    server.objects.clear()
    server.made_jobs.clear()
    server.apply("lakes")
    watched.refresh()
    assert (watched.run("ponds"), watched.jobs("ponds")) == (None, [])


def test_its_own_writes_are_seen_at_once(server, watched):
    server.apply("ponds")
    watched.refresh()
    watched.write_status(watched.run("ponds"), RunStatus(state="RUNNING"))
    watched.create({"kind": "Job"} | job(0))
    watched.patch_job("ponds-train-1", {"suspend": True})
    assert watched.run("ponds").status.state == "RUNNING"
    assert watched.jobs("ponds")[0].spec.suspend is True


def test_a_run_that_changed_meanwhile_is_not_confirmed_and_is_seen_anew(server, watched):
    server.apply("ponds")
    watched.refresh()
    before = watched.run("ponds")
    watched.confirm(before)
    server.apply("ponds", suspend=True)
    with pytest.raises(Conflict, match="ponds has changed since it was read"):
        watched.confirm(before)
    assert watched.run("ponds").spec["suspend"] is True


def test_after_a_conflict_the_run_is_seen_anew(server, watched):
    server.apply("ponds")
    watched.refresh()
    before = watched.run("ponds")
    server.apply("ponds", suspend=True)
    with pytest.raises(Conflict):
        watched.write_status(before, RunStatus())
    assert watched.run("ponds").spec["suspend"] is True


def test_a_run_that_is_gone_is_not_confirmed(server, watched):
    server.apply("ponds")
    watched.refresh()
    before = watched.run("ponds")
    server.objects.clear()
    with pytest.raises(Conflict):
        watched.confirm(before)
    assert watched.run("ponds") is None


def test_what_is_final_is_read_from_the_server(server, watched):
    server.made_pods["ponds-train-1"] = [{"metadata": {"name": "x"}, "status": failed_pod("trainer")}]
    assert watched.pods("ponds-train-1") == []
    assert [pod.name for pod in watched.pods("ponds-train-1", latest=True)] == ["x"]
