"""What pods tell once: that a run's first one has begun, and that one has failed and will be replaced."""

import threading

from slipway.kube.cache import ObjectCache
from slipway.kube.names import INDEX_LABEL, JOB_LABEL, RUN_LABEL, STAGE_LABEL
from slipway.kube.objects import KubernetesObject
from slipway.text import parse_timestamp

from services.controller import job_state as observe
from services.controller import metrics

_FIRST_STAGE = "ingest"


class Tally:
    """Counts what pods tell, each time once; what happened before this process began, another has counted.

    Args:
      since: When this process began, RFC 3339 in UTC.
    """

    def __init__(self, index: ObjectCache, since: str) -> None:
        self._index, self._since = index, since
        self._begun: set[str] = set()  # uids of runs
        self._failed: dict[str, dict[str, str]] = {}  # by Job: the uid of each failed pod, and its share of the limit
        self._lock = threading.Lock()

    def saw(self, pod: KubernetesObject) -> None:
        """Take in a pod as it is now."""
        labels = pod["metadata"].get("labels", {})
        if RUN_LABEL not in labels or JOB_LABEL not in labels:
            return
        with self._lock:
            if labels.get(STAGE_LABEL) == _FIRST_STAGE:
                self._saw_first(pod, labels[RUN_LABEL])
            if pod.get("status", {}).get("phase") == "Failed":
                self._saw_failed(pod, labels)

    def forget(self) -> None:
        """Let go of runs and Jobs that are gone."""
        runs = self._index.all("TrainingRun")
        uids = {run["metadata"]["uid"] for run in runs}
        jobs = {job["metadata"]["name"] for run in runs for job in self._index.of("Job", run["metadata"]["name"])}
        with self._lock:
            self._begun &= uids
            self._failed = {job: pods for job, pods in self._failed.items() if job in jobs}

    def _saw_first(self, pod: KubernetesObject, name: str) -> None:
        run = next(iter(self._index.of("TrainingRun", name)), None)
        began = _began(pod)
        if run is None or not began or run["metadata"]["uid"] in self._begun:
            return
        self._begun.add(run["metadata"]["uid"])
        if began >= self._since:
            created = parse_timestamp(run["metadata"]["creationTimestamp"])
            metrics.QUEUE_WAIT.observe(max(0.0, (parse_timestamp(began) - created).total_seconds()))

    def _saw_failed(self, pod: KubernetesObject, labels: dict[str, str]) -> None:
        known = self._failed.setdefault(labels[JOB_LABEL], {})
        uid, word = pod["metadata"]["uid"], observe.pod_word(pod)
        if uid in known:
            return
        jobs = self._index.of("Job", labels[RUN_LABEL])
        job = next((job for job in jobs if job["metadata"]["name"] == labels[JOB_LABEL]), None)
        known[uid] = _share(job, labels) if job and word != "preempted" else ""
        failures = sum(share == known[uid] for share in known.values())
        if job and observe.pod_ended_at(pod) >= self._since and _is_replaced(job, word, failures):
            metrics.RETRIES.labels(labels[STAGE_LABEL], word).inc()


def _began(pod: KubernetesObject) -> str:
    """Return when the stage's container began, "" before."""
    for container in pod.get("status", {}).get("containerStatuses", []):
        state = container.get("state", {})
        if began := (state.get("running") or state.get("terminated") or {}).get("startedAt"):
            return str(began)
    return ""


def _share(job: KubernetesObject, labels: dict[str, str]) -> str:
    """Say which of a Job's failures are counted together: those of one index, or all."""
    return labels.get(INDEX_LABEL, "all") if "backoffLimitPerIndex" in job["spec"] else "all"


def _is_replaced(job: KubernetesObject, word: str, failures: int) -> bool:
    """Say whether a failed pod gets a successor: not when it is one too many, or its Job has ended or is to end."""
    if observe.ended_at(job) or "deletionTimestamp" in job["metadata"] or job["spec"].get("suspend"):
        return False
    limit = job["spec"].get("backoffLimitPerIndex", job["spec"].get("backoffLimit", 0))
    return word == "preempted" or (word != "input" and failures <= limit)
