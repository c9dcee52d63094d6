"""The requests of the controller to Kubernetes."""

from collections.abc import Iterator
from typing import Any, Protocol

from slipway.artifacts.outcome import RunStatus
from slipway.errors import AlreadyExists
from slipway.kube.client import KubernetesClient, Selector, load_configuration
from slipway.kube.names import JOB_LABEL, RUN_LABEL, Kind
from slipway.kube.objects import KubernetesObject, ObjectList

from services.controller import metrics
from services.controller.kube.objects import Job, Pod, TrainingRunObject


class Cluster(Protocol):
    """One namespace of Kubernetes.

    Every method raises `ClusterUnavailable`, and `ClusterRefused` where the API server refuses. Reads see the latest
    write of this process; writes of others may appear later.
    """

    def run(self, name: str) -> TrainingRunObject | None:
        """Return one TrainingRun, or None when there is none of that name."""

    def jobs(self, run: str) -> list[Job]:
        """Return the Jobs that have the run's label."""

    def pods(self, job: str, latest: bool = False) -> list[Pod]:
        """Return the Job's pods that wait or have failed.

        Args:
          latest: Read them from the API server instead of a cache, because the decision that follows is final.
        """

    def live_pods(self, run: str) -> list[str]:
        """Return the names of the pods that have the run's label and have not ended, read from the API server."""

    def confirm(self, run: TrainingRunObject) -> None:
        """Check that the run has not changed since it was read, before a Job is created or ended. Raises `Conflict`."""

    def create(self, manifest: KubernetesObject) -> None:
        """Create a Job, a Service or a Secret; it is not an error when one of that name exists."""

    def patch_job(self, name: str, spec: dict[str, Any]) -> None:
        """Change fields of a Job's spec; it is not an error when the Job is gone."""

    def delete_job(self, name: str) -> None:
        """Delete a Job, which exists until its pods are gone; it is not an error when it does not exist."""

    def write_status(self, run: TrainingRunObject, status: RunStatus) -> None:
        """Replace the run's status. Raises `Conflict` when the run has changed since it was read."""


class ApiServer(Protocol):
    """The requests that `CachedCluster` sends to the API server.

    Writes return the new version of the object, or None when there is none.
    """

    def get_run(self, name: str) -> KubernetesObject | None: ...
    def list_pods(self, job: str) -> list[KubernetesObject]: ...
    def live_pods(self, run: str) -> list[str]: ...
    def pages(self, kind: Kind) -> Iterator[ObjectList]: ...
    def create(self, manifest: KubernetesObject) -> KubernetesObject | None: ...
    def patch_job(self, name: str, spec: dict[str, Any]) -> KubernetesObject | None: ...
    def delete_job(self, name: str) -> None: ...
    def replace_status(self, run: KubernetesObject) -> KubernetesObject: ...


class KubernetesCluster:
    """An `ApiServer` without a cache: each call is a request."""

    def __init__(self, client: KubernetesClient) -> None:
        self._client = client

    def get_run(self, name: str) -> KubernetesObject | None:
        return self._client.get("TrainingRun", name)

    def list_pods(self, job: str) -> list[KubernetesObject]:
        return self._client.list("Pod", Selector(f"{JOB_LABEL}={job}"))["items"]

    def live_pods(self, run: str) -> list[str]:
        live = Selector(f"{RUN_LABEL}={run}", "status.phase!=Succeeded,status.phase!=Failed")
        return [pod["metadata"]["name"] for pod in self._client.list("Pod", live)["items"]]

    def pages(self, kind: Kind) -> Iterator[ObjectList]:
        return self._client.pages(kind, Selector("" if kind == "TrainingRun" else RUN_LABEL))

    def create(self, manifest: KubernetesObject) -> KubernetesObject | None:
        try:
            return self._client.create(manifest)
        except AlreadyExists:
            return None

    def patch_job(self, name: str, spec: dict[str, Any]) -> KubernetesObject | None:
        return self._client.patch("Job", name, {"spec": spec})

    def delete_job(self, name: str) -> None:
        self._client.delete("Job", name, propagation="Foreground")

    def replace_status(self, run: KubernetesObject) -> KubernetesObject:
        return self._client.replace_status(run)


def connect(namespace: str) -> KubernetesCluster:
    """Connect with the pod's service account, or else the kubeconfig. Raises `SpecError` when there is neither."""
    return KubernetesCluster(KubernetesClient(namespace, load_configuration(), on_request=metrics.count_request))
