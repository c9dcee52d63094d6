"""The few things that the API asks of Kubernetes, as plain JSON: TrainingRuns, and nothing else."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from slipway import API_VERSION
from slipway.errors import InputError, SpecError, TransientError

Manifest = dict[str, Any]
Manifests = list[Manifest]  # in a class that has a `list` of its own, list[…] would be that one

GROUP, VERSION = API_VERSION.split("/")
PLURAL = "trainingruns"

_TIMEOUT_SEC = (5.0, 15.0)  # to connect, to answer: a client is waiting
_WATCH_SEC = 60  # a stream that died unnoticed is replaced after so many seconds
_CONNECTIONS = 48  # as many as there are threads that may ask at once, and the watch
_RAW: dict[str, Any] = {"_preload_content": False}  # the client's own classes would drop what is newer than they


class ClusterUnavailable(TransientError):
    """The API server does not answer, or says that something is wrong with it."""


class Conflict(TransientError):
    """The object was changed by someone else since it was read."""


class AlreadyThere(InputError):
    """There is an object of that name."""


class ClusterRefused(InputError):
    """The API server answers, and its answer is no."""

    def __init__(self, said: str, status: int) -> None:
        super().__init__(said)
        self.status = status


class RunsCluster(Protocol):
    """The TrainingRuns of one namespace. What is returned is not to be changed.

    Every method raises `ClusterUnavailable`, and `ClusterRefused` where the answer is no.
    """

    def list(self) -> Manifests:
        """Return every TrainingRun, in no order; what this process wrote is seen."""

    def get(self, name: str) -> Manifest | None:
        """Return one TrainingRun, or None when there is none of that name; what this process wrote is seen."""

    def create(self, manifest: Manifest) -> Manifest:
        """Create it, and return it as it is kept. Raises `AlreadyThere`."""

    def patch(self, name: str, spec: Manifest, version: str) -> Manifest | None:
        """Change fields of the spec; return the whole, or None when there is none of that name.

        Raises:
          Conflict: Its `resourceVersion` is not `version` any more.
        """

    def delete(self, name: str) -> None:
        """Delete it; one that is gone is no error."""


class KubernetesRuns:
    """A `RunsCluster` by way of the official client; every call is a request."""

    def __init__(self, namespace: str, configuration: Any) -> None:
        from kubernetes import client

        self._custom = client.CustomObjectsApi(client.ApiClient(configuration))
        self._kind = {"group": GROUP, "version": VERSION, "namespace": namespace, "plural": PLURAL}
        self._quick = {**self._kind, **_RAW, "_request_timeout": _TIMEOUT_SEC}

    def list(self) -> Manifests:
        return self.snapshot()[1]

    def snapshot(self) -> tuple[str, Manifests]:
        """Return the version at which a watch goes on, and every TrainingRun."""
        with _translated("list TrainingRuns"):
            found = _parsed(self._custom.list_namespaced_custom_object(**self._quick))
        return found["metadata"]["resourceVersion"], [_slim(item) for item in found["items"]]

    def changes(self, version: str) -> Iterator[tuple[str, Manifest]]:
        """Yield (ADDED, MODIFIED, DELETED or BOOKMARK, TrainingRun) since that version, for a minute.

        Raises:
          ClusterUnavailable: Also when the version is too old to go on from.
        """
        with _translated("watch TrainingRuns"):
            stream = self._custom.list_namespaced_custom_object(
                **self._kind,
                **_RAW,
                watch=True,
                allow_watch_bookmarks=True,
                resource_version=version,
                timeout_seconds=_WATCH_SEC,
                _request_timeout=(_TIMEOUT_SEC[0], _WATCH_SEC + 15),
            )
            for line in stream:
                change = json.loads(line)
                if change["type"] == "ERROR":
                    raise ClusterUnavailable(f"watch TrainingRuns: {change['object'].get('message')}")
                yield change["type"], _slim(change["object"])

    def get(self, name: str) -> Manifest | None:
        with _translated(f"read TrainingRun {name}", absent_is_fine=True):
            return _slim(_parsed(self._custom.get_namespaced_custom_object(**self._quick, name=name)))
        return None

    def create(self, manifest: Manifest) -> Manifest:
        name = manifest["metadata"]["name"]
        try:
            with _translated(f"create TrainingRun {name}"):
                return _slim(_parsed(self._custom.create_namespaced_custom_object(**self._quick, body=manifest)))
        except Conflict as error:
            raise AlreadyThere(f"a run {name} exists") from error

    def patch(self, name: str, spec: Manifest, version: str) -> Manifest | None:
        body = {"metadata": {"resourceVersion": version}, "spec": spec}
        with _translated(f"patch TrainingRun {name}", absent_is_fine=True):
            patch = self._custom.patch_namespaced_custom_object
            merge = "application/merge-patch+json"
            return _slim(_parsed(patch(**self._quick, name=name, body=body, _content_type=merge)))
        return None

    def delete(self, name: str) -> None:
        with _translated(f"delete TrainingRun {name}", absent_is_fine=True):
            self._custom.delete_namespaced_custom_object(**self._quick, name=name)


def connect(namespace: str) -> KubernetesRuns:
    """Use the pod's service account, or else the kubeconfig.

    Raises:
      SpecError: There is neither.
    """
    from kubernetes import client, config

    configuration = client.Configuration()
    configuration.connection_pool_maxsize = _CONNECTIONS
    try:
        config.load_incluster_config(client_configuration=configuration)
    except config.ConfigException:
        _load_kubeconfig(configuration)
    return KubernetesRuns(namespace, configuration)


def _load_kubeconfig(configuration: Any) -> None:
    from kubernetes import config

    try:
        config.load_kube_config(client_configuration=configuration)
    except config.ConfigException as error:
        raise SpecError(f"no cluster: {error}; run in a pod with a service account, or set KUBECONFIG") from error


def _parsed(response: Any) -> Manifest:
    found: Manifest = json.loads(response.data)
    return found


def _slim(found: Manifest) -> Manifest:
    """Leave out what is half of an object and nobody's business."""
    found["metadata"].pop("managedFields", None)
    return found


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
            raise ClusterRefused(said, error.status) from error
        raise ClusterUnavailable(f"{said}; try again") from error
    except HTTPError as error:
        raise ClusterUnavailable(f"{what}: the API server does not answer; try again") from error


def _message(error: Any) -> str:
    try:
        return str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        return str(error.reason)
