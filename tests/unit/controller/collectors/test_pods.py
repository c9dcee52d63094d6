import pytest
from prometheus_client import REGISTRY

from slipway.kube.cache import ObjectCache
from tests.fakes.cluster import failed_pod

from services.controller.collectors.pods import PodCounters

LABELS = {
    "slipway.dev/run": "ponds",
    "slipway.dev/stage": "ingest",
    "batch.kubernetes.io/job-name": "ponds-ingest-1",
}
DISRUPTED = {"conditions": [{"type": "DisruptionTarget", "status": "True"}]}


@pytest.fixture
def cache():
    cache = ObjectCache()
    metadata = {"name": "ponds", "uid": "uid-1", "creationTimestamp": "2026-01-31T12:00:00Z", "resourceVersion": "1"}
    cache.put("TrainingRun", {"metadata": metadata, "spec": {}})
    return cache


def job(cache, version=2, conditions=(), **spec):
    metadata = {"name": "ponds-ingest-1", "uid": "uid-2", "labels": LABELS, "resourceVersion": str(version)}
    found = {"metadata": metadata, "spec": {"backoffLimit": 2} | spec, "status": {"conditions": [*conditions]}}
    cache.put("Job", found)


@pytest.fixture
def counters(cache):
    job(cache)
    return PodCounters(cache, "2026-01-31T11:00:00Z")


def pod(name="a", index=None, **status):
    labels = LABELS | ({"batch.kubernetes.io/job-completion-index": index} if index else {})
    return {"metadata": {"name": name, "uid": f"uid-{name}", "labels": labels}, "spec": {}, "status": status}


def running(name="a", began="2026-01-31T12:00:42Z"):
    status = {"phase": "Running", "containerStatuses": [{"name": "ingest", "state": {"running": {"startedAt": began}}}]}
    return pod(name, **status)


def failed(name="a", index=None, also=None, **terminated):
    return pod(name, index, **failed_pod("ingest", **terminated), **(also or {}))


@pytest.fixture
def counted():
    """Return what was counted since the test began."""

    def now():
        waits = [REGISTRY.get_sample_value(f"slipway_run_queue_wait_seconds_{part}") for part in ("count", "sum")]
        retries = {
            reason: REGISTRY.get_sample_value("slipway_stage_retries_total", {"stage": "ingest", "reason": reason}) or 0
            for reason in ("preempted", "oom", "retryable", "error", "input")
        }
        return waits, retries

    before = now()

    def since():
        waits, retries = now()
        return (
            [new - old for new, old in zip(waits, before[0], strict=True)],
            {reason: count - before[1][reason] for reason, count in retries.items() if count != before[1][reason]},
        )

    return since


def test_the_wait_ends_when_the_first_pod_runs_and_is_counted_once(counters, counted):
    counters.observe(pod(phase="Pending"))
    counters.observe(running())
    counters.observe(running())
    counters.observe(running("b", "2026-01-31T12:05:00Z"))
    assert counted()[0] == [1, 42]


def test_a_pod_that_was_only_seen_ended_counts_too(counters, counted):
    counters.observe(failed(startedAt="2026-01-31T12:00:10Z", exitCode=75))
    assert counted()[0] == [1, 10]


def test_what_was_before_this_process_is_not_counted_again(cache, counted):
    job(cache)
    counters = PodCounters(cache, "2026-01-31T13:00:00Z")
    counters.observe(running())
    counters.observe(failed())
    counters.observe(running("b", "2026-01-31T13:05:00Z"))
    assert counted() == ([0, 0], {})


@pytest.mark.parametrize(
    ("ended", "reason"),
    [
        pytest.param(failed(exitCode=75), "retryable", id="75"),
        pytest.param(failed(exitCode=1), "error", id="1"),
        pytest.param(failed(exitCode=137, reason="OOMKilled"), "oom", id="out-of-memory"),
        pytest.param(failed(exitCode=143, also=DISRUPTED), "preempted", id="drained"),
        pytest.param(pod(phase="Failed", reason="Evicted"), "preempted", id="evicted"),
    ],
)
def test_a_pod_that_is_replaced_is_a_retry_with_a_reason(counters, counted, ended, reason):
    ended["metadata"]["creationTimestamp"] = "2026-01-31T12:00:00Z"
    counters.observe(ended)
    counters.observe(ended)
    assert counted()[1] == {reason: 1}


def test_a_pod_whose_input_is_wrong_is_not_replaced(counters, counted):
    counters.observe(failed(exitCode=65))
    assert counted()[1] == {}


def test_the_failure_that_is_one_too_many_is_no_retry_but_a_preemption_never_is(counters, counted):
    for name in "abcd":
        counters.observe(failed(name))
    counters.observe(failed("e", also=DISRUPTED))
    assert counted()[1] == {"error": 2, "preempted": 1}


def test_each_index_has_failures_of_its_own_where_the_job_says_so(cache, counters, counted):
    job(cache, version=3, backoffLimitPerIndex=1)
    for name, number in (("a", "0"), ("b", "1"), ("c", "1")):
        counters.observe(failed(name, number))
    assert counted()[1] == {"error": 2}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(
            {"conditions": [{"type": "Failed", "status": "True", "lastTransitionTime": "2026-01-31T12:29:00Z"}]},
            id="has-failed",
        ),
        pytest.param({"suspend": True}, id="is-suspended"),
    ],
)
def test_a_job_that_makes_no_more_pods_has_no_retries(cache, counters, counted, change):
    job(cache, version=3, **change)
    counters.observe(failed())
    assert counted()[1] == {}


def test_pods_of_others_are_passed_over(counters, counted):
    stranger = failed()
    stranger["metadata"]["labels"] = {}
    counters.observe(stranger)
    assert counted() == ([0, 0], {})


def test_what_is_gone_is_forgotten(cache, counters):
    counters.observe(failed(startedAt="2026-01-31T12:00:10Z"))
    counters.forget_deleted()
    assert (counters._begun_runs, [*counters._failures]) == ({"uid-1"}, ["ponds-ingest-1"])
    cache.remove("TrainingRun", {"metadata": {"name": "ponds", "uid": "uid-1"}})
    counters.forget_deleted()
    assert (counters._begun_runs, counters._failures) == (set(), {})
