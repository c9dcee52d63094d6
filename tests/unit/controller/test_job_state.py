import pytest

from tests.fakes.cluster import failed_pod

from services.controller.job_state import job_failure, killed_pod_lines, newest_jobs, phase_of, waiting_reason
from services.controller.kube.objects import Job, Pod


def job(attempt=1, queue=None, **fields):
    labels = {"slipway.dev/stage": "train", "slipway.dev/attempt": str(attempt)}
    labels |= {"kueue.x-k8s.io/queue-name": queue} if queue else {}
    return Job.model_validate({"metadata": {"labels": labels, **fields.pop("metadata", {})}, **fields})


def ended(kind, reason="", message=""):
    return {"status": {"conditions": [{"type": kind, "status": "True", "reason": reason, "message": message}]}}


def pod(name="a", **status):
    return Pod.model_validate({"metadata": {"name": name}, "spec": {"nodeName": "node1"}, "status": status})


GOING = {"metadata": {"deletionTimestamp": "2026-01-31T12:00:00Z"}}


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        pytest.param(job(), "running", id="new"),
        pytest.param(job(**ended("FailureTarget")), "running", id="pods-still-ending"),
        pytest.param(job(**ended("Failed")), "failed", id="failed"),
        pytest.param(job(**ended("Complete")), "done", id="complete"),
        pytest.param(job(spec={"suspend": True}), "suspended", id="suspended"),
        pytest.param(job(spec={"suspend": True}, queue="team-a"), "queued", id="suspended-by-kueue"),
        pytest.param(job(queue="team-a"), "running", id="admitted"),
        pytest.param(job(**GOING), "running", id="being-deleted"),
        pytest.param(job(**GOING, spec={"suspend": True}, queue="a"), "running", id="queued-and-being-deleted"),
    ],
)
def test_a_job_is_seen_as(seen, expected):
    assert phase_of(seen) == expected


def test_the_newest_attempt_counts_by_number():
    assert newest_jobs([job(9), job(10), job(2)])["train"] == job(10)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        pytest.param(failed_pod("trainer", exitCode=65, message="no shards\n"), (65, "no shards"), id="its-last-words"),
        pytest.param(
            failed_pod("trainer", exitCode=137, reason="OOMKilled"),
            (
                137,
                "trainer on node1 was killed: out of memory; give its pool more, or ask for a smaller batch or image",
            ),
            id="out-of-memory",
        ),
        pytest.param(
            {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."},
            (1, "trainer on node1: Evicted: The node was low on resource: memory."),
            id="evicted",
        ),
        pytest.param(
            failed_pod("trainer", exitCode=139),
            (139, "trainer on node1 ended with code 139 and said nothing"),
            id="mute",
        ),
        pytest.param({"phase": "Failed"}, (1, "trainer on node1 ended, and nothing is known of how"), id="unknown"),
    ],
)
def test_a_job_failed_because(status, expected):
    assert job_failure(job(**ended("Failed", "BackoffLimitExceeded")), [pod(**status)]) == expected


def test_the_pod_that_failed_last_has_the_last_word():
    first = failed_pod("trainer", message="first", finishedAt="2026-01-31T12:00:00Z")
    last = failed_pod("trainer", message="last", finishedAt="2026-01-31T12:09:00Z")
    assert job_failure(job(**ended("Failed")), [pod(**last), pod(**first)]) == (1, "last")


def test_without_pods_the_job_has_the_last_word():
    seen = job(**ended("Failed", "DeadlineExceeded", "Job was active longer than specified deadline"))
    says = "DeadlineExceeded: Job was active longer than specified deadline"
    assert job_failure(seen, []) == job_failure(seen, [pod(**failed_pod("trainer"))]) == (1, says)


def test_only_what_a_pod_could_not_say_itself_is_noted():
    pods = [
        pod("told", **failed_pod("trainer", exitCode=75, message="stopped")),
        pod("oom", **failed_pod("trainer", exitCode=137, reason="OOMKilled")),
        pod("runs", phase="Running"),
    ]
    (line,) = killed_pod_lines(job(), pods)
    assert line.startswith("2026-01-31T12:29:00Z WARNING controller pod=oom trainer on node1 was killed")


@pytest.mark.parametrize(
    ("status", "says"),
    [
        pytest.param(
            {"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes"}]},
            "no node for pod a: 0/1 nodes",
            id="no-node",
        ),
        pytest.param(
            {
                "containerStatuses": [
                    {
                        "name": "trainer",
                        "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}},
                    }
                ]
            },
            "trainer cannot begin: ImagePullBackOff: no such image",
            id="no-image",
        ),
        pytest.param(
            {"containerStatuses": [{"name": "trainer", "state": {"waiting": {"reason": "PodInitializing"}}}]},
            None,
            id="soon",
        ),
    ],
)
def test_a_pod_waits_for(status, says):
    assert waiting_reason([pod(phase="Pending", **status)]) == says
