"""The few things that the controller asks of Kubernetes, as plain JSON."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from slipway.errors import InputError, TransientError

from services.controller.crd import GROUP, PLURAL, VERSION
from services.controller.jobs import RUN_LABEL, Manifest

_TIMEOUT_SEC = (5.0, 30.0)  # to connect, to answer: a server that restarts is found out soon


class ClusterUnavailable(TransientError):
    """The API server does not answer, or says that something is wrong with it."""


class Conflict(TransientError):
    """The object was changed by someone else since it was read."""


class ClusterRefused(InputError):
    """The API server answers, and its answer is no: a quota, a policy, a right that is missing."""


class Cluster(Protocol):
    """Kubernetes, one namespace of it.

    Every method raises `ClusterUnavailable`, and `ClusterRefused` where the answer is no. Reads see the last write.
    """

    def runs(self) -> list[Manifest]:
        """Return every TrainingRun."""

    def run(self, name: str) -> Manifest | None:
        """Return one TrainingRun, or None when there is none of that name."""

    def jobs(self, run: str) -> list[Manifest]:
        """Return the Jobs that bear the run's label."""

    def pods(self, job: str) -> list[Manifest]:
        """Return the Job's pods, also those that ended."""

    def create(self, manifest: Manifest) -> None:
        """Create a Job, a Service or a Secret; one of that name that is there already is no error."""

    def patch_job(self, name: str, spec: Manifest) -> None:
        """Change fields of a Job's spec; a Job that is gone is no error."""

    def delete_job(self, name: str) -> None:
        """Delete a Job; it is there until its pods are gone. One that is gone is no error."""

    def write_status(self, run: Manifest) -> None:
        """Replace the run's status. Raises `Conflict` when the run is not as it was read."""


class KubernetesCluster:
    """A `Cluster` by way of the official client."""

    def __init__(self, namespace: str) -> None:
        from kubernetes import client

        self._namespace = namespace
        self._batch, self._core, self._custom = client.BatchV1Api(), client.CoreV1Api(), client.CustomObjectsApi()
        self._kind = {"group": GROUP, "version": VERSION, "namespace": namespace, "plural": PLURAL}

    def runs(self) -> list[Manifest]:
        with _translated("list TrainingRuns"):
            found = self._custom.list_namespaced_custom_object(**self._kind, _request_timeout=_TIMEOUT_SEC)
        return list(found["items"])

    def run(self, name: str) -> Manifest | None:
        with _translated(f"read TrainingRun {name}", absent_is_fine=True):
            found = self._custom.get_namespaced_custom_object(**self._kind, name=name, _request_timeout=_TIMEOUT_SEC)
            return dict(found)
        return None

    def jobs(self, run: str) -> list[Manifest]:
        with _translated(f"list Jobs of {run}"):
            return _items(self._batch.list_namespaced_job(self._namespace, label_selector=f"{RUN_LABEL}={run}", **_RAW))

    def pods(self, job: str) -> list[Manifest]:
        selector = f"batch.kubernetes.io/job-name={job}"
        with _translated(f"list pods of {job}"):
            return _items(self._core.list_namespaced_pod(self._namespace, label_selector=selector, **_RAW))

    def create(self, manifest: Manifest) -> None:
        kind, name = manifest["kind"], manifest["metadata"]["name"]
        create = {
            "Job": self._batch.create_namespaced_job,
            "Service": self._core.create_namespaced_service,
            "Secret": self._core.create_namespaced_secret,
        }[kind]
        try:
            with _translated(f"create {kind} {name}"):
                create(self._namespace, manifest, **_RAW)
        except Conflict:
            return

    def patch_job(self, name: str, spec: Manifest) -> None:
        with _translated(f"patch Job {name}", absent_is_fine=True):
            self._batch.patch_namespaced_job(name, self._namespace, {"spec": spec}, **_RAW)

    def delete_job(self, name: str) -> None:
        with _translated(f"delete Job {name}", absent_is_fine=True):
            self._batch.delete_namespaced_job(name, self._namespace, propagation_policy="Foreground", **_RAW)

    def write_status(self, run: Manifest) -> None:
        name = run["metadata"]["name"]
        with _translated(f"write the status of {name}"):
            self._custom.replace_namespaced_custom_object_status(
                **self._kind, name=name, body=run, _request_timeout=_TIMEOUT_SEC
            )


# The client's own classes would drop fields that are newer than it.
_RAW: dict[str, Any] = {"_preload_content": False, "_request_timeout": _TIMEOUT_SEC}


def connect(namespace: str) -> KubernetesCluster:
    """Use the pod's service account, or else the kubeconfig."""
    from kubernetes import config

    try:
        config.load_incluster_config()
    except config.ConfigException:
        config.load_kube_config()
    return KubernetesCluster(namespace)


def _items(response: Any) -> list[Manifest]:
    return list(json.loads(response.data)["items"])


@contextmanager
def _translated(what: str, absent_is_fine: bool = False) -> Iterator[None]:
    """Turn the client's exceptions into ours."""
    from kubernetes.client.exceptions import ApiException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except ApiException as error:
        if error.status == 404 and absent_is_fine:
            return
        said = f"{what}: {error.status} {_message(error)}"
        if error.status == 409:
            raise Conflict(said) from error
        if error.status in (400, 403, 404, 422):
            raise ClusterRefused(said) from error
        raise ClusterUnavailable(f"{said}; trying again") from error
    except HTTPError as error:
        raise ClusterUnavailable(f"{what}: no answer ({error}); trying again") from error


def _message(error: Any) -> str:
    try:
        return str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        return str(error.reason)
