"""Counters of events that only pods show: the start of a run's first pod, and failures of pods that are replaced."""

import threading

from slipway.kube.cache import ObjectCache
from slipway.kube.names import INDEX_LABEL, JOB_LABEL, RUN_LABEL, STAGE_LABEL
from slipway.kube.objects import KubernetesObject
from slipway.run.names import STAGES
from slipway.text import seconds_between

from services.controller import metrics
from services.controller.job_state import has_ended, pod_ended_at, pod_failure_kind
from services.controller.kube.objects import Job, Pod, TrainingRunObject


class PodCounters:
    """Counts each event once; an earlier process counted those from before the start of this one.

    Args:
      start_time: Time at which this process started, RFC 3339 in UTC.
    """

    def __init__(self, cache: ObjectCache, start_time: str) -> None:
        self._cache, self._start_time = cache, start_time
        self._begun_runs: set[str] = set()  # uids
        self._failures: dict[str, dict[str, str]] = {}  # by Job: each failed pod's uid, and its limit
        self._lock = threading.Lock()

    def observe(self, manifest: KubernetesObject) -> None:
        """Count the events that the current state of a pod shows."""
        pod = Pod.model_validate(manifest)
        labels = pod.metadata.labels
        if RUN_LABEL not in labels or JOB_LABEL not in labels:
            return
        with self._lock:
            if labels.get(STAGE_LABEL) == STAGES[0]:
                self._observe_first_stage(pod)
            if pod.has_failed:
                self._observe_failure(pod)

    def forget_deleted(self) -> None:
        """Forget the runs and Jobs that no longer exist."""
        runs = self._cache.all("TrainingRun")
        uids = {run["metadata"].get("uid", "") for run in runs}
        names = (run["metadata"]["name"] for run in runs)
        jobs = {job["metadata"]["name"] for name in names for job in self._cache.owned_by("Job", name)}
        with self._lock:
            self._begun_runs &= uids
            self._failures = {job: pods for job, pods in self._failures.items() if job in jobs}

    def _observe_first_stage(self, pod: Pod) -> None:
        objects = self._cache.owned_by("TrainingRun", pod.metadata.labels[RUN_LABEL])
        began_at = _began_at(pod)
        if not objects or not began_at:
            return
        run = TrainingRunObject.model_validate(objects[0])
        if run.uid in self._begun_runs:
            return
        self._begun_runs.add(run.uid)
        if began_at >= self._start_time:
            metrics.QUEUE_WAIT.observe(seconds_between(run.metadata.creation_timestamp, began_at) or 0.0)

    def _observe_failure(self, pod: Pod) -> None:
        labels = pod.metadata.labels
        job_name = labels[JOB_LABEL]
        shares = self._failures.setdefault(job_name, {})
        if pod.metadata.uid in shares:
            return
        jobs = map(Job.model_validate, self._cache.owned_by("Job", labels[RUN_LABEL]))
        job = next((job for job in jobs if job.name == job_name), None)
        kind = pod_failure_kind(pod)
        share = _share(job, pod) if job and kind != "preempted" else ""
        shares[pod.metadata.uid] = share
        failures = sum(other == share for other in shares.values())
        if job and pod_ended_at(pod) >= self._start_time and _is_replaced(job, kind, failures):
            metrics.RETRIES.labels(labels[STAGE_LABEL], kind).inc()


def _began_at(pod: Pod) -> str:
    """Return the time at which the stage's container started, or "" before that."""
    for container in pod.status.container_statuses:
        state = container.state.running or container.state.terminated
        if state and state.started_at:
            return state.started_at
    return ""


def _share(job: Job, pod: Pod) -> str:
    """Return the limit that a pod's failure counts against: that of its index, or that of all of the Job's pods."""
    return pod.metadata.labels.get(INDEX_LABEL, "all") if job.spec.backoff_limit_per_index is not None else "all"


def _is_replaced(job: Job, kind: str, failures: int) -> bool:
    """Check whether a failed pod is replaced: not above the limit, nor when its Job has ended or is about to."""
    if has_ended(job) or job.metadata.deletion_timestamp is not None or job.spec.suspend:
        return False
    limit = job.spec.backoff_limit if job.spec.backoff_limit_per_index is None else job.spec.backoff_limit_per_index
    return kind == "preempted" or (kind != "input" and failures <= limit)
