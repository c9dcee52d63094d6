"""The TrainingRuns of a namespace: requests of the API to Kubernetes."""

from collections.abc import Iterator
from typing import Any, Protocol

from slipway.kube.client import KubernetesClient, load_configuration
from slipway.kube.objects import KubernetesObject, WatchEvent

_ANSWER_SEC = 15.0  # a client is waiting

Manifests = list[KubernetesObject]  # in a class that has a `list` of its own, list[…] would be that one


class RunsCluster(Protocol):
    """The TrainingRuns of one namespace. Nobody changes an object that a method returns.

    Every method raises `ClusterUnavailable`, and `ClusterRefused` where the API server says no. Reads see every earlier
    write of this process.
    """

    def list(self) -> Manifests:
        """Return every TrainingRun, in no order."""

    def get(self, name: str) -> KubernetesObject | None:
        """Return one TrainingRun, or None when there is none of that name."""

    def create(self, manifest: KubernetesObject) -> KubernetesObject:
        """Create a TrainingRun and return it as it is stored. Raises `AlreadyExists`."""

    def patch(self, name: str, spec: dict[str, Any], version: str) -> KubernetesObject | None:
        """Change fields of the spec and return the whole, or None when there is no TrainingRun of that name.

        Raises:
          Conflict: Its `resourceVersion` is no longer `version`.
        """

    def delete(self, name: str) -> None:
        """Delete a TrainingRun; it is not an error when there is none of that name."""


class KubernetesRuns:
    """A `RunsCluster` in which every call is a request to the API server."""

    def __init__(self, client: KubernetesClient) -> None:
        self.client = client

    def list(self) -> Manifests:
        return self.snapshot()[1]

    def snapshot(self) -> tuple[str, Manifests]:
        """Return the version at which a watch continues, and every TrainingRun."""
        page = self.client.list("TrainingRun")
        return page["metadata"]["resourceVersion"], page["items"]

    def changes(self, version: str) -> Iterator[WatchEvent]:
        """Yield the changes since that version, for a minute. Raises `ClusterUnavailable`."""
        return self.client.watch("TrainingRun", version)

    def get(self, name: str) -> KubernetesObject | None:
        return self.client.get("TrainingRun", name)

    def create(self, manifest: KubernetesObject) -> KubernetesObject:
        return self.client.create(manifest)

    def patch(self, name: str, spec: dict[str, Any], version: str) -> KubernetesObject | None:
        return self.client.patch("TrainingRun", name, {"metadata": {"resourceVersion": version}, "spec": spec})

    def delete(self, name: str) -> None:
        self.client.delete("TrainingRun", name)


def connect(namespace: str) -> KubernetesRuns:
    """Connect with the pod's service account, or else the kubeconfig. Raises `SpecError` when there is neither."""
    return KubernetesRuns(KubernetesClient(namespace, load_configuration(), _ANSWER_SEC))
