"""A cluster whose runs, Jobs and pods are read from a cache that watches keep current.

Reconciling a run therefore takes hardly any requests to the API server.
"""

from typing import Any, Final

from slipway.artifacts.outcome import RunStatus
from slipway.errors import Conflict
from slipway.kube.cache import Fields, ObjectCache
from slipway.kube.names import Kind
from slipway.kube.objects import KubernetesObject

from services.controller.kube.client import ApiServer, Cluster
from services.controller.kube.objects import Job, Pod, TrainingRunObject

KINDS: Final[tuple[Kind, ...]] = (
    "Pod",
    "Job",
    "TrainingRun",
)  # runs last: their status names the newest Jobs

# Every field that the controller reads: the others take most of the memory, and most changes are to them.
_FIELDS: Final[dict[Kind, Fields]] = {
    "TrainingRun": {
        "metadata": ("name", "uid", "creationTimestamp", "deletionTimestamp", "resourceVersion"),
        "spec": None,
        "status": None,
    },
    "Job": {
        "metadata": ("name", "uid", "labels", "ownerReferences", "deletionTimestamp", "resourceVersion"),
        "spec": ("suspend", "ttlSecondsAfterFinished", "backoffLimit", "backoffLimitPerIndex"),
        "status": ("startTime", "succeeded", "conditions"),
    },
    "Pod": {
        "metadata": ("name", "uid", "creationTimestamp", "resourceVersion"),
        "spec": ("nodeName",),
        "status": ("phase", "reason", "message", "conditions", "initContainerStatuses", "containerStatuses"),
    },
}


class CachedCluster(Cluster):
    """A `Cluster` that reads from its cache, in which its own writes appear at once."""

    def __init__(self, server: ApiServer) -> None:
        self.cache = ObjectCache(_FIELDS, _is_kept)
        self._server = server

    def refresh(self) -> None:
        """Compare the cache with the API server's lists, in case a watch missed a change or an end."""
        for kind in KINDS:
            uids: set[str] = set()
            version = "0"
            for page in self._server.pages(kind):
                version = page["metadata"]["resourceVersion"]
                for manifest in page["items"]:
                    self.cache.put(kind, manifest)
                    uids.add(manifest["metadata"].get("uid", ""))
            self.cache.remove_absent(kind, uids, version)

    def runs(self) -> list[KubernetesObject]:
        """Return every TrainingRun as JSON, unparsed: there may be thousands, of which a caller needs few."""
        return self.cache.all("TrainingRun")

    def run(self, name: str) -> TrainingRunObject | None:
        run = next(iter(self.cache.owned_by("TrainingRun", name)), None)
        return TrainingRunObject.model_validate(run) if run else None

    def jobs(self, run: str) -> list[Job]:
        return [Job.model_validate(job) for job in self.cache.owned_by("Job", run)]

    def pods(self, job: str, latest: bool = False) -> list[Pod]:
        pods = self._server.list_pods(job) if latest else self.cache.owned_by("Pod", job)
        return [Pod.model_validate(pod) for pod in pods]

    def live_pods(self, run: str) -> list[str]:
        return self._server.live_pods(run)

    def confirm(self, run: TrainingRunObject) -> None:
        current_run = self._server.get_run(run.name)
        if current_run is None:
            self.cache.remove("TrainingRun", run.content())
        elif current_run["metadata"].get("resourceVersion") == run.metadata.resource_version:
            return
        else:
            self.cache.put("TrainingRun", current_run)
        raise Conflict(f"TrainingRun {run.name} has changed since it was read; reconciling it again")

    def create(self, manifest: KubernetesObject) -> None:
        created_object = self._server.create(manifest)
        if created_object and manifest.get("kind") == "Job":
            self.cache.put("Job", created_object)

    def patch_job(self, name: str, spec: dict[str, Any]) -> None:
        if job := self._server.patch_job(name, spec):
            self.cache.put("Job", job)

    def delete_job(self, name: str) -> None:
        self._server.delete_job(name)

    def write_status(self, run: TrainingRunObject, status: RunStatus) -> None:
        try:
            self.cache.put("TrainingRun", self._server.replace_status(run.with_status(status)))
        except Conflict:
            self.confirm(run)  # caches the current version, so that the next attempt does not meet the same conflict
            raise


def _is_kept(kind: Kind, manifest: KubernetesObject) -> bool:
    """Check whether an object is kept: of the pods, only those that wait or have failed, since only these are read."""
    return kind != "Pod" or manifest.get("status", {}).get("phase") in ("Pending", "Failed")
