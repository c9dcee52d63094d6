"""The state of a stage and the reason of its failure, derived from its Job and pods."""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, cast

from slipway.errors import EXIT_BUG, EXIT_INPUT, EXIT_RETRY
from slipway.kube.names import ATTEMPT_LABEL, QUEUE_LABEL, STAGE_LABEL
from slipway.run.names import Stage, main_process
from slipway.run.pipeline import Phase

from services.controller.kube.objects import Condition, Job, Pod, TerminatedContainer

_LONGEST_REASON = 1000  # characters of a container's last output that a status holds; the log has all of it
_SIGKILL_EXIT = 137  # 128 + SIGKILL

PodFailure = Literal["oom", "preempted", "input", "retryable", "error"]
StageFailure = Literal["input", "retries-exhausted", "oom", "deadline", "bug"]


class JobFailure(NamedTuple):
    """The exit code and the reason of a Job's failure."""

    exit_code: int
    reason: str


def newest_jobs(jobs: Iterable[Job]) -> dict[Stage, Job]:
    """Return each stage's Job of the highest attempt."""
    return {stage_of(job): job for job in sorted(jobs, key=attempt_of)}


def stage_of(job: Job) -> Stage:
    return cast(Stage, job.metadata.labels[STAGE_LABEL])


def attempt_of(job: Job) -> int:
    return int(job.metadata.labels[ATTEMPT_LABEL])


def phase_of(job: Job) -> Phase:
    """Return the state of a Job.

    A Job that is being deleted counts as running, because its pods exist until it is gone. A suspended Job that has a
    queue's name is suspended by Kueue, and waits to be admitted.
    """
    if _condition(job, "Failed"):
        return Phase.FAILED
    if _condition(job, "Complete"):
        return Phase.DONE
    if job.spec.suspend and job.metadata.deletion_timestamp is None:
        return Phase.QUEUED if QUEUE_LABEL in job.metadata.labels else Phase.SUSPENDED
    return Phase.RUNNING


def has_ended(job: Job) -> bool:
    return bool(_condition(job, "Complete") or _condition(job, "Failed"))


def ended_at(job: Job) -> str | None:
    """Return the time at which the Job ended, or None while it runs."""
    condition = _condition(job, "Complete") or _condition(job, "Failed")
    return condition.last_transition_time if condition else None


def job_failure(job: Job, pods: Iterable[Pod]) -> JobFailure:
    """Return the reason of a Job's failure: the last output of the pod that failed last, or the Job's own condition."""
    container = _container(job)
    failed_pods = sorted(_failed_pods(pods), key=lambda pod: pod.termination(container).finished_at or "")
    condition = _condition(job, "Failed")
    if not failed_pods or _is_deadline(condition):
        reason = (condition.reason if condition else None) or "Failed"
        message = (condition.message if condition else None) or "its pods are gone"
        return JobFailure(EXIT_BUG, f"{reason}: {message}")
    exit_code = failed_pods[-1].termination(container).exit_code
    return JobFailure(EXIT_BUG if exit_code is None else exit_code, _reason(failed_pods[-1], container))


def stage_failure_kind(job: Job, pods: Sequence[Pod]) -> StageFailure:
    """Return the reason of a stage's failure as the metrics' label names it."""
    condition = _condition(job, "Failed")
    if not condition:  # it ended well but wrote no result
        return "bug"
    if _is_deadline(condition):
        return "deadline"
    exit_code = job_failure(job, pods).exit_code
    if exit_code == EXIT_INPUT:
        return "input"
    kinds = [pod_failure_kind(pod) for pod in _failed_pods(pods)]
    if "oom" in kinds:
        return "oom"
    return "bug" if exit_code == EXIT_BUG and kinds else "retries-exhausted"


def pod_failure_kind(pod: Pod) -> PodFailure:
    """Return the reason of a pod's failure as the metrics' label names it."""
    containers = _terminated_containers(pod)
    if any(container.reason == "OOMKilled" for container in containers):
        return "oom"
    is_disrupted = any(c.type == "DisruptionTarget" and c.status == "True" for c in pod.status.conditions)
    if pod.status.reason or is_disrupted:
        return "preempted"  # evicted, drained, or its node is gone
    exit_codes = [container.exit_code for container in containers]
    if EXIT_INPUT in exit_codes:
        return "input"
    return "retryable" if EXIT_RETRY in exit_codes else "error"


def pod_ended_at(pod: Pod) -> str:
    """Return the time at which a pod's last container ended, or the pod's creation time if that is not known."""
    times = [container.finished_at for container in _terminated_containers(pod) if container.finished_at]
    return max(times, default=pod.metadata.creation_timestamp or "")


def killed_pod_lines(job: Job, pods: Iterable[Pod]) -> list[str]:
    """Return a log line for each pod that was killed, and so could not log its own end."""
    container = _container(job)
    lines = []
    for pod in _failed_pods(pods):
        termination = pod.termination(container)
        if termination.reason == "OOMKilled" or termination.exit_code in (None, _SIGKILL_EXIT) or pod.status.reason:
            time = termination.finished_at or pod.metadata.creation_timestamp or ""
            lines.append(f"{time} WARNING controller pod={pod.name} {_reason(pod, container)}")
    return lines


def waiting_reason(pods: Iterable[Pod]) -> str | None:
    """Return the reason why a pod cannot start, such as a missing node or image; None when no pod waits."""
    for pod in pods:
        if pod.status.phase != "Pending":
            continue
        for condition in pod.status.conditions:
            if condition.type == "PodScheduled" and condition.status == "False":
                return f"no node for pod {pod.name}: {condition.message or ''}"
        for container in pod.status.init_container_statuses + pod.status.container_statuses:
            waiting = container.state.waiting
            if waiting and waiting.message:  # PodInitializing and the like have none
                return f"{container.name} cannot begin: {waiting.reason}: {waiting.message}"
    return None


def _container(job: Job) -> str:
    return main_process(stage_of(job)).service


def _reason(pod: Pod, container: str) -> str:
    termination, node = pod.termination(container), pod.spec.node_name or "no node"
    if termination.reason == "OOMKilled":
        return (
            f"{container} on {node} was killed: out of memory; give its pool more, or ask for a smaller batch or image"
        )
    if pod.status.reason:
        return f"{container} on {node}: {pod.status.reason}: {pod.status.message or ''}".rstrip(": ")
    if output := (termination.message or "").strip():
        return output if len(output) <= _LONGEST_REASON else f"… {output[-_LONGEST_REASON:]}"
    if termination.exit_code is not None:
        return f"{container} on {node} ended with code {termination.exit_code} and said nothing"
    return f"{container} on {node} ended, and nothing is known of how"


def _failed_pods(pods: Iterable[Pod]) -> list[Pod]:
    return [pod for pod in pods if pod.has_failed]


def _terminated_containers(pod: Pod) -> list[TerminatedContainer]:
    return [status.state.terminated or TerminatedContainer() for status in pod.status.container_statuses]


def _is_deadline(condition: Condition | None) -> bool:
    return condition is not None and condition.reason == "DeadlineExceeded"


def _condition(job: Job, kind: str) -> Condition | None:
    return next((c for c in job.status.conditions if c.type == kind and c.status == "True"), None)
