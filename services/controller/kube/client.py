"""The few things that the controller asks of Kubernetes, as plain JSON."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, Protocol

from slipway.errors import InputError, TransientError

from services.controller.install.crd import GROUP, PLURAL, VERSION
from services.controller.manifests import RUN_LABEL, Manifest
from services.controller.metrics import asked

Kind = Literal["TrainingRun", "Job", "Pod"]
RESOURCES: dict[Kind, str] = {"TrainingRun": PLURAL, "Job": "jobs", "Pod": "pods"}

_PAGE = 250  # objects of a list at a time: a list of thousands is tens of megabytes
_TIMEOUT_SEC = (5.0, 30.0)  # to connect, to answer: a server that restarts is found out soon


class ClusterUnavailable(TransientError):
    """The API server does not answer, or says that something is wrong with it."""


class Conflict(TransientError):
    """The object was changed by someone else since it was read."""


class ClusterRefused(InputError):
    """The API server answers, and its answer is no: a quota, a policy, a right that is missing."""


class Cluster(Protocol):
    """Kubernetes, one namespace of it.

    Every method raises `ClusterUnavailable`, and `ClusterRefused` where the answer is no. Reads see the last write of
    this process; what others write they may see later.
    """

    def run(self, name: str) -> Manifest | None:
        """Return one TrainingRun, or None when there is none of that name."""

    def jobs(self, run: str) -> list[Manifest]:
        """Return the Jobs that bear the run's label."""

    def pods(self, job: str, latest: bool = False) -> list[Manifest]:
        """Return those of the Job's pods that wait or have failed.

        Args:
          latest: As they are now, for what is read from them is final.
        """

    def live_pods(self, run: str) -> list[str]:
        """Return the names of the pods that bear the run's label and have not ended, as they are now."""

    def confirm(self, run: Manifest) -> None:
        """See that the run is as it was read: nothing is begun or ended on hearsay. Raises `Conflict`."""

    def create(self, manifest: Manifest) -> None:
        """Create a Job, a Service or a Secret; one of that name that is there already is no error."""

    def patch_job(self, name: str, spec: Manifest) -> None:
        """Change fields of a Job's spec; a Job that is gone is no error."""

    def delete_job(self, name: str) -> None:
        """Delete a Job; it is there until its pods are gone. One that is gone is no error."""

    def write_status(self, run: Manifest) -> None:
        """Replace the run's status. Raises `Conflict` when the run is not as it was read."""


class KubernetesCluster:
    """The API server, by way of the official client."""

    def __init__(self, namespace: str) -> None:
        from kubernetes import client

        self._namespace = namespace
        self._batch, self._core, self._custom = client.BatchV1Api(), client.CoreV1Api(), client.CustomObjectsApi()
        self._kind = {"group": GROUP, "version": VERSION, "namespace": namespace, "plural": PLURAL}

    def run(self, name: str) -> Manifest | None:
        with _asked("get", PLURAL, name, absent_is_fine=True):
            found = self._custom.get_namespaced_custom_object(**self._kind, name=name, _request_timeout=_TIMEOUT_SEC)
            return dict(found)
        return None

    def pods(self, job: str) -> list[Manifest]:
        selector = f"batch.kubernetes.io/job-name={job}"
        with _asked("list", "pods", f"of {job}"):
            return list(
                _parsed(self._core.list_namespaced_pod(self._namespace, label_selector=selector, **_RAW))["items"]
            )

    def live_pods(self, run: str) -> list[str]:
        which = {
            "label_selector": f"{RUN_LABEL}={run}",
            "field_selector": "status.phase!=Succeeded,status.phase!=Failed",
        }
        with _asked("list", "pods", f"of {run}"):
            found = _parsed(self._core.list_namespaced_pod(self._namespace, **which, **_RAW))["items"]
        return [pod["metadata"]["name"] for pod in found]

    def pages(self, kind: Kind) -> Iterator[tuple[Iterable[Manifest], str]]:
        resource, after = RESOURCES[kind], ""
        while True:
            with _asked("list", resource, ""):
                page = self._page(kind, after)
            yield page["items"], page["metadata"]["resourceVersion"]
            after = page["metadata"].get("continue", "")
            if not after:
                return

    def _page(self, kind: Kind, after: str) -> Manifest:
        some: Manifest = {"limit": _PAGE, "_continue": after or None}
        if kind == "TrainingRun":
            found = self._custom.list_namespaced_custom_object(**self._kind, **some, _request_timeout=_TIMEOUT_SEC)
            return dict(found)
        listing = self._batch.list_namespaced_job if kind == "Job" else self._core.list_namespaced_pod
        return _parsed(listing(self._namespace, label_selector=RUN_LABEL, **some, **_RAW))

    def create(self, manifest: Manifest) -> Manifest | None:
        kind, name = manifest["kind"], manifest["metadata"]["name"]
        create = {
            "Job": self._batch.create_namespaced_job,
            "Service": self._core.create_namespaced_service,
            "Secret": self._core.create_namespaced_secret,
        }[kind]
        try:
            with _asked("create", f"{kind.lower()}s", name):
                return _parsed(create(self._namespace, manifest, **_RAW))
        except Conflict:
            return None

    def patch_job(self, name: str, spec: Manifest) -> Manifest | None:
        with _asked("patch", "jobs", name, absent_is_fine=True):
            return _parsed(self._batch.patch_namespaced_job(name, self._namespace, {"spec": spec}, **_RAW))
        return None

    def delete_job(self, name: str) -> None:
        with _asked("delete", "jobs", name, absent_is_fine=True):
            self._batch.delete_namespaced_job(name, self._namespace, propagation_policy="Foreground", **_RAW)

    def write_status(self, run: Manifest) -> Manifest:
        name = run["metadata"]["name"]
        with _asked("update", f"{PLURAL}/status", name):
            written = self._custom.replace_namespaced_custom_object_status(
                **self._kind, name=name, body=run, _request_timeout=_TIMEOUT_SEC
            )
        return dict(written)


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


def _parsed(response: Any) -> Manifest:
    return dict(json.loads(response.data))


@contextmanager
def _asked(verb: str, resource: str, which: str, absent_is_fine: bool = False) -> Iterator[None]:
    """Count a request, and turn the client's exceptions into ours."""
    from kubernetes.client.exceptions import ApiException
    from urllib3.exceptions import HTTPError

    what = f"{verb} {resource} {which}".rstrip()
    asked(verb, resource)
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
