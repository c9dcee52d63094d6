"""A reconciliation counts the end of each stage once, however often it is repeated."""

import pytest
from prometheus_client import REGISTRY

from tests.fakes.cluster import failed_pod

from services.controller.job_state import stage_failure_kind
from services.controller.kube.objects import Job, Pod
from services.controller.reconcile import reconcile


@pytest.fixture
def ends():
    """Return the stages that were counted since the test began: (stage, outcome) to how many, and to their seconds."""

    def now(name):
        found = (sample for metric in REGISTRY.collect() for sample in metric.samples if sample.name == name)
        return {tuple(sample.labels.values()): sample.value for sample in found}

    names = (
        "slipway_stage_duration_seconds_count",
        "slipway_stage_duration_seconds_sum",
        "slipway_stage_failures_total",
    )
    before = {name: now(name) for name in names}

    def since():
        changes = []
        for name in names:
            changed = {labels: value - before[name].get(labels, 0) for labels, value in now(name).items()}
            changes.append({labels: value for labels, value in changed.items() if value})
        return changes

    return since


def play(cluster, store, context, fails=lambda job: None):
    cluster.apply("ponds", until="preprocess")
    for _ in range(12):
        reconcile("ponds", context)
        reconcile("ponds", context)
        cluster.tick(store, fails)


def test_each_stage_is_counted_once_when_its_job_ends(cluster, store, context, ends):
    play(cluster, store, context)
    count, seconds, failures = ends()
    assert count == {("ingest", "done"): 1, ("preprocess", "done"): 1}
    assert seconds == {("ingest", "done"): 1799, ("preprocess", "done"): 1799}
    assert failures == {}


def test_a_stage_that_fails_is_counted_with_its_reason_and_so_is_the_next_attempt(cluster, store, context, ends):
    play(cluster, store, context, lambda job: failed_pod("ingest", exitCode=65, message="no boxes"))
    assert (ends()[0], ends()[2]) == ({("ingest", "failed"): 1}, {("ingest", "input"): 1})
    cluster.apply("ponds", attempt=2)
    play(cluster, store, context)
    assert ends()[0] == {("ingest", "failed"): 1, ("ingest", "done"): 1, ("preprocess", "done"): 1}


def failed_job(reason="BackoffLimitExceeded"):
    end = {"type": "Failed", "status": "True", "reason": reason, "message": "it has"}
    labels = {"slipway.dev/stage": "train"}
    return Job.model_validate({"metadata": {"labels": labels}, "status": {"conditions": [end]}})


@pytest.mark.parametrize(
    ("reason", "pod", "word"),
    [
        pytest.param("PodFailurePolicy", failed_pod("trainer", exitCode=65), "input", id="65"),
        pytest.param("BackoffLimitExceeded", failed_pod("trainer", exitCode=75), "retries-exhausted", id="75"),
        pytest.param("BackoffLimitExceeded", failed_pod("trainer", exitCode=1), "bug", id="1"),
        pytest.param("BackoffLimitExceeded", failed_pod("trainer", exitCode=137), "retries-exhausted", id="killed"),
        pytest.param(
            "BackoffLimitExceeded", failed_pod("trainer", exitCode=137, reason="OOMKilled"), "oom", id="out-of-memory"
        ),
        pytest.param("DeadlineExceeded", failed_pod("trainer", exitCode=143), "deadline", id="deadline"),
    ],
)
def test_a_failure_has_one_word(reason, pod, word):
    pods = [Pod.model_validate({"metadata": {"name": "a"}, "status": pod})]
    assert stage_failure_kind(failed_job(reason), pods) == word


def test_a_job_whose_pods_are_gone_has_used_up_its_retries():
    assert stage_failure_kind(failed_job(), []) == "retries-exhausted"


def test_a_stage_that_ended_well_without_a_result_is_a_bug():
    job = Job.model_validate({"metadata": {"labels": {"slipway.dev/stage": "train"}}})
    assert stage_failure_kind(job, []) == "bug"
