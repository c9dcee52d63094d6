"""What Jobs and pods say: how a stage stands, and why it failed."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from slipway.errors import EXIT_BUG, EXIT_INPUT, EXIT_RETRY
from slipway.kube.names import ATTEMPT_LABEL, QUEUE_LABEL, STAGE_LABEL
from slipway.kube.objects import KubernetesObject
from slipway.run.names import Stage
from slipway.run.pipeline import Phase

from services.controller.manifests import SERVICES

_SAID = 1000  # letters of a container's last words that a status holds; its log has them all


def newest(jobs: Iterable[KubernetesObject]) -> dict[Stage, KubernetesObject]:
    """Return each stage's Job of the highest attempt."""
    found: dict[Stage, KubernetesObject] = {}
    for job in sorted(jobs, key=attempt):
        found[cast(Stage, job["metadata"]["labels"][STAGE_LABEL])] = job
    return found


def attempt(job: KubernetesObject) -> int:
    return int(job["metadata"]["labels"][ATTEMPT_LABEL])


def phase(job: KubernetesObject) -> Phase:
    """Say how a Job stands.

    One that is being deleted counts as running: its pods are there until it is gone. Of a suspended one, Kueue has the
    say when it bears a queue's name.
    """
    if _condition(job, "Failed"):
        return Phase.FAILED
    if _condition(job, "Complete"):
        return Phase.DONE
    if job["spec"].get("suspend") and "deletionTimestamp" not in job["metadata"]:
        return Phase.QUEUED if QUEUE_LABEL in job["metadata"]["labels"] else Phase.SUSPENDED
    return Phase.RUNNING


def ended_at(job: KubernetesObject) -> str | None:
    """Return when the Job ended."""
    ended = _condition(job, "Complete") or _condition(job, "Failed")
    return ended.get("lastTransitionTime") if ended else None


def failure(job: KubernetesObject, pods: Iterable[KubernetesObject]) -> tuple[int, str]:
    """Return the exit code and the reason of a Job that failed: the last words of the pod that failed last."""
    service = SERVICES[cast(Stage, job["metadata"]["labels"][STAGE_LABEL])]
    ended = sorted(filter(_has_failed, pods), key=lambda pod: str(_ended(pod, service).get("finishedAt", "")))
    why = _condition(job, "Failed")
    if why.get("reason") == "DeadlineExceeded" or not ended:
        return EXIT_BUG, f"{why.get('reason', 'Failed')}: {why.get('message', 'its pods are gone')}"
    return int(_ended(ended[-1], service).get("exitCode", EXIT_BUG)), _reason(ended[-1], service)


def failure_word(job: KubernetesObject, pods: Sequence[KubernetesObject]) -> str:
    """Say in a word why a stage failed, as the metrics have it."""
    code, why = failure(job, pods)[0], _condition(job, "Failed")
    if not why:  # it ended well but wrote no result
        return "bug"
    if why.get("reason") == "DeadlineExceeded":
        return "deadline"
    if code == EXIT_INPUT:
        return "input"
    ended = [pod_word(pod) for pod in pods if _has_failed(pod)]
    if "oom" in ended:
        return "oom"
    return "bug" if code == EXIT_BUG and ended else "retries-exhausted"


def pod_word(pod: KubernetesObject) -> str:
    """Say in a word why a pod failed, as the metrics have it."""
    status = pod["status"]
    ended = [c["state"].get("terminated") or {} for c in status.get("containerStatuses", [])]
    if any(container.get("reason") == "OOMKilled" for container in ended):
        return "oom"
    conditions = {condition["type"]: condition["status"] for condition in status.get("conditions", [])}
    if status.get("reason") or conditions.get("DisruptionTarget") == "True":
        return "preempted"  # evicted, drained, or its node is gone
    codes = [container.get("exitCode") for container in ended]
    if EXIT_INPUT in codes:
        return "input"
    return "retryable" if EXIT_RETRY in codes else "error"


def pod_ended_at(pod: KubernetesObject) -> str:
    """Return when a pod's last container ended, or when the pod was made if none tells."""
    ended = [c["state"].get("terminated") or {} for c in pod["status"].get("containerStatuses", [])]
    told = [str(container["finishedAt"]) for container in ended if container.get("finishedAt")]
    return max(told, default=str(pod["metadata"].get("creationTimestamp", "")))


def killed(job: KubernetesObject, pods: Iterable[KubernetesObject]) -> list[str]:
    """Return a line for each pod that could not tell itself how it ended."""
    service = SERVICES[cast(Stage, job["metadata"]["labels"][STAGE_LABEL])]
    lines = []
    for pod in filter(_has_failed, pods):
        ended = _ended(pod, service)
        if ended.get("reason") == "OOMKilled" or ended.get("exitCode", 137) == 137 or pod["status"].get("reason"):
            when = ended.get("finishedAt") or pod["metadata"].get("creationTimestamp", "")
            lines.append(f"{when} WARNING controller pod={pod['metadata']['name']} {_reason(pod, service)}")
    return lines


def waits_for(pods: Iterable[KubernetesObject]) -> str | None:
    """Say why a pod has not begun: no node for it, no image; None when none waits."""
    for pod in pods:
        status = pod.get("status", {})
        if status.get("phase") != "Pending":
            continue
        for condition in status.get("conditions", []):
            if condition["type"] == "PodScheduled" and condition["status"] == "False":
                return f"no node for pod {pod['metadata']['name']}: {condition.get('message', '')}"
        for container in status.get("initContainerStatuses", []) + status.get("containerStatuses", []):
            waiting = container["state"].get("waiting", {})
            if waiting.get("message"):  # PodInitializing and the like have none
                return f"{container['name']} cannot begin: {waiting['reason']}: {waiting['message']}"
    return None


def runs(pod: KubernetesObject) -> bool:
    return bool(pod.get("status", {}).get("phase") == "Running")


def _reason(pod: KubernetesObject, service: str) -> str:
    ended, node = _ended(pod, service), pod["spec"].get("nodeName", "no node")
    if ended.get("reason") == "OOMKilled":
        return f"{service} on {node} was killed: out of memory; give its pool more, or ask for a smaller batch or image"
    if pod["status"].get("reason"):  # Evicted, Preempting, NodeLost: the kubelet's or the node controller's words
        return f"{service} on {node}: {pod['status']['reason']}: {pod['status'].get('message', '')}".rstrip(": ")
    if said := str(ended.get("message", "")).strip():
        return said if len(said) <= _SAID else f"… {said[-_SAID:]}"
    if "exitCode" in ended:
        return f"{service} on {node} ended with code {ended['exitCode']} and said nothing"
    return f"{service} on {node} ended, and nothing is known of how"


def _has_failed(pod: KubernetesObject) -> bool:
    return bool(pod.get("status", {}).get("phase") == "Failed")


def _ended(pod: KubernetesObject, service: str) -> Mapping[str, Any]:
    for container in pod["status"].get("containerStatuses", []):
        if container["name"] == service:
            return cast(Mapping[str, Any], container["state"].get("terminated") or {})
    return {}


def _condition(job: KubernetesObject, kind: str) -> Mapping[str, Any]:
    conditions = job.get("status", {}).get("conditions", [])
    return next((c for c in conditions if c["type"] == kind and c["status"] == "True"), {})
