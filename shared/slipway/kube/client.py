"""A client of the Kubernetes API: one namespace, objects as JSON, and Slipway's errors.

The official client's own classes are not used, since they would drop fields that are newer than the client.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from slipway.errors import AlreadyExists, ClusterUnavailable, Conflict, SpecError
from slipway.kube.errors import as_api_errors
from slipway.kube.names import GROUP, PLURALS, VERSION, Kind
from slipway.kube.objects import KubernetesObject, ObjectList, WatchEvent

_CONNECT_SEC = 5.0  # short, so that a server that restarts is noticed soon
_WATCH_SEC = 60  # after so many seconds a stream that died unnoticed is replaced
_PAGE = 250  # objects of a list at a time: a list of thousands is tens of megabytes
_CONNECTIONS = 48  # as many as there are threads that may send requests at once, and the watch
_MERGE = "application/merge-patch+json"


@dataclass(frozen=True)
class Selector:
    """Selects objects of a kind by labels and fields; an empty selector means all."""

    labels: str = ""
    fields: str = ""


_Translation = AbstractContextManager[None]
_EVERYTHING = Selector()


class KubernetesClient:
    """Requests to the API server about the objects of one namespace.

    Every method raises `ClusterUnavailable`, and `ClusterRefused` where the API server refuses.

    Args:
      configuration: The official client's configuration: address and credentials.
      answer_sec: Time limit for an answer.
      on_request: Called with verb and resource before each request.
    """

    def __init__(
        self,
        namespace: str,
        configuration: Any,
        answer_sec: float = 30.0,
        on_request: Callable[[str, str], None] | None = None,
    ) -> None:
        from kubernetes import client

        self.api_client = client.ApiClient(configuration)
        self._custom = client.CustomObjectsApi(self.api_client)
        self._batch, self._core = client.BatchV1Api(self.api_client), client.CoreV1Api(self.api_client)
        self._namespace, self._timeout, self._on_request = namespace, (_CONNECT_SEC, answer_sec), on_request

    def get(self, kind: Kind, name: str) -> KubernetesObject | None:
        """Return one object, or None when there is none of that name."""
        with self._request("get", kind, name, absent_is_fine=True):
            return _parse(self._method("get", kind)(name=name))
        return None

    def list(self, kind: Kind, selector: Selector = _EVERYTHING) -> ObjectList:
        """Return the objects of a kind, and the version at which a watch of them continues."""
        with self._request("list", kind, selector.labels):
            return _parse_list(self._method("list", kind)(**_query(selector)))

    def pages(self, kind: Kind, selector: Selector) -> Iterator[ObjectList]:
        """Yield the objects of a kind, in pages of some hundred."""
        position: str | None = None
        while True:
            with self._request("list", kind):
                page = _parse_list(self._method("list", kind)(limit=_PAGE, _continue=position, **_query(selector)))
            yield page
            position = cast(str | None, page["metadata"].get("continue"))
            if not position:
                return

    def watch(self, kind: Kind, version: str) -> Iterator[WatchEvent]:
        """Yield the changes since that version, for a minute.

        Raises:
          ClusterUnavailable: Also when the version is too old to continue from.
        """
        with self._request("watch", kind):
            lines = self._method("list", kind)(
                watch=True,
                allow_watch_bookmarks=True,
                resource_version=version,
                timeout_seconds=_WATCH_SEC,
                _request_timeout=(_CONNECT_SEC, _WATCH_SEC + 15),
            )
            for line in lines:
                change: WatchEvent = json.loads(line)
                if change["type"] == "ERROR":
                    fault = cast(dict[str, Any], change["object"])
                    raise ClusterUnavailable(f"watch {kind}s: {fault.get('message')}")
                yield {**change, "object": _without_managed_fields(change["object"])}

    def create(self, manifest: KubernetesObject) -> KubernetesObject:
        """Create an object and return it as it is stored. Raises `AlreadyExists`."""
        kind, name = cast(Kind, manifest["kind"]), manifest["metadata"]["name"]
        try:
            with self._request("create", kind, name):
                return _parse(self._method("create", kind)(body=manifest))
        except Conflict as error:
            raise AlreadyExists(f"{kind} {name} exists already") from error

    def patch(self, kind: Kind, name: str, body: dict[str, Any]) -> KubernetesObject | None:
        """Merge the body into an object and return the whole, or None when there is none of that name.

        Raises:
          Conflict: The body has a `resourceVersion` that is no longer the object's.
        """
        with self._request("patch", kind, name, absent_is_fine=True):
            return _parse(self._method("patch", kind)(name=name, body=body, _content_type=_MERGE))
        return None

    def delete(self, kind: Kind, name: str, propagation: str | None = None) -> None:
        """Delete an object; it is not an error when there is none of that name."""
        with self._request("delete", kind, name, absent_is_fine=True):
            self._method("delete", kind)(name=name, propagation_policy=propagation)

    def replace_status(self, manifest: KubernetesObject) -> KubernetesObject:
        """Replace the status of a TrainingRun. Raises `Conflict` when the object has been changed since it was read."""
        name = manifest["metadata"]["name"]
        self._count("update", f"{PLURALS['TrainingRun']}/status")
        with as_api_errors(f"update the status of TrainingRun {name}"):
            return _parse(self._method("replace", "TrainingRun", "_status")(name=name, body=manifest))

    def _count(self, verb: str, resource: str) -> None:
        if self._on_request:
            self._on_request(verb, resource)

    def _request(self, verb: str, kind: Kind, name: str = "", absent_is_fine: bool = False) -> _Translation:
        self._count(verb, PLURALS[kind])
        objects = f"{kind} {name}" if verb not in ("list", "watch") else f"{kind}s {name}".rstrip()
        return as_api_errors(f"{'read' if verb == 'get' else verb} {objects}", absent_is_fine)

    def _method(self, verb: str, kind: Kind, part: str = "") -> Callable[..., Any]:
        """Return the official client's method of a verb and a kind."""
        api = {"TrainingRun": self._custom, "Job": self._batch}.get(kind, self._core)
        names: dict[str, str] = {"namespace": self._namespace}
        suffix = kind.lower()
        if kind == "TrainingRun":
            names, suffix = names | {"group": GROUP, "version": VERSION, "plural": PLURALS[kind]}, "custom_object"
        method = getattr(api, f"{verb}_namespaced_{suffix}{part}")
        return partial(method, **names, _preload_content=False, _request_timeout=self._timeout)


def load_configuration() -> Any:
    """Return the official client's configuration: the pod's service account, or else the kubeconfig.

    Raises:
      SpecError: There is neither.
    """
    from kubernetes import client, config

    configuration = client.Configuration()
    configuration.connection_pool_maxsize = _CONNECTIONS
    try:
        config.load_incluster_config(client_configuration=configuration)
    except config.ConfigException:
        try:
            config.load_kube_config(client_configuration=configuration)
        except config.ConfigException as error:
            raise SpecError(f"no cluster: {error}; run in a pod with a service account, or set KUBECONFIG") from error
    return configuration


def _query(selector: Selector) -> dict[str, str]:
    query = {"label_selector": selector.labels, "field_selector": selector.fields}
    return {name: value for name, value in query.items() if value}


def _parse(response: Any) -> KubernetesObject:
    return _without_managed_fields(json.loads(response.data))


def _parse_list(response: Any) -> ObjectList:
    page: ObjectList = json.loads(response.data)
    return {**page, "items": [_without_managed_fields(manifest) for manifest in page["items"]]}


def _without_managed_fields(manifest: KubernetesObject) -> KubernetesObject:
    """Leave out the managed fields: they are half of an object, and of use to the API server alone."""
    cast(dict[str, Any], manifest["metadata"]).pop("managedFields", None)
    return manifest
