"""A cache of Kubernetes objects that is kept current by watches."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from slipway.kube.names import JOB_LABEL, RUN_LABEL, Kind
from slipway.kube.objects import KubernetesObject

Fields = Mapping[str, Sequence[str] | None]  # by part of an object, such as `spec`; None means all fields


class ObjectCache:
    """The newest version seen of each object, grouped by kind and by the object that it belongs to.

    An object in the cache is never changed, only replaced.

    Args:
      fields: The fields to keep of a kind: dropping the others saves memory, and changes to them are ignored.
        Kinds that are not named are kept whole.
      is_kept: Returns whether an object belongs in the cache, as it is now.
    """

    def __init__(
        self,
        fields: Mapping[Kind, Fields] | None = None,
        is_kept: Callable[[Kind, KubernetesObject], bool] = lambda kind, manifest: True,
    ) -> None:
        self._fields, self._is_kept = fields or {}, is_kept
        self._lock = threading.Lock()
        self._groups: dict[Kind, dict[str, dict[str, KubernetesObject]]] = {}

    def put(self, kind: Kind, manifest: KubernetesObject) -> bool:
        """Store an object unless it is older than the cached one; return whether a kept field has changed."""
        name = manifest["metadata"]["name"]
        with self._lock:
            objects = self._groups.setdefault(kind, {}).setdefault(group(kind, manifest), {})
            cached_object = objects.get(name)
            if cached_object and version(cached_object) >= version(manifest):
                return False
            if not self._is_kept(kind, manifest):
                return objects.pop(name, None) is not None
            objects[name] = self._slim(kind, manifest)
            return cached_object is None or _without_version(cached_object) != _without_version(objects[name])

    def remove(self, kind: Kind, manifest: KubernetesObject) -> bool:
        """Remove a deleted object; return whether the cache had it. A newer one of the same name stays."""
        name, owner = manifest["metadata"]["name"], group(kind, manifest)
        with self._lock:
            groups = self._groups.get(kind, {})
            objects = groups.get(owner, {})
            is_same = name in objects and _uid(objects[name]) == _uid(manifest)
            if is_same:
                del objects[name]
            if not objects:
                groups.pop(owner, None)
            return is_same

    def remove_group(self, kind: Kind, owner: str) -> None:
        """Remove the objects that belong to the owner."""
        with self._lock:
            self._groups.get(kind, {}).pop(owner, None)

    def remove_absent(self, kind: Kind, uids: set[str], list_version: str) -> None:
        """Remove the objects that a list does not have and that are not newer than it: no watch reported their end."""
        with self._lock:
            for objects in self._groups.get(kind, {}).values():
                for name, cached_object in [*objects.items()]:
                    if _uid(cached_object) not in uids and version(cached_object) <= int(list_version):
                        del objects[name]

    def owned_by(self, kind: Kind, owner: str) -> list[KubernetesObject]:
        """Return the run of that name, a run's Jobs, or a Job's pods."""
        with self._lock:
            return list(self._groups.get(kind, {}).get(owner, {}).values())

    def all(self, kind: Kind) -> list[KubernetesObject]:
        with self._lock:
            return [manifest for objects in self._groups.get(kind, {}).values() for manifest in objects.values()]

    def _slim(self, kind: Kind, manifest: KubernetesObject) -> KubernetesObject:
        if kind not in self._fields:
            return manifest
        whole = cast(Mapping[str, Any], manifest)
        slim = {name: whole[name] for name in ("apiVersion", "kind") if name in whole}
        for part, fields in self._fields[kind].items():
            content: Mapping[str, Any] = whole.get(part, {})
            if fields is not None:
                slim[part] = {field: content[field] for field in fields if field in content}
            elif part in whole:
                slim[part] = dict(content)
        return cast(KubernetesObject, slim)


def group(kind: Kind, manifest: KubernetesObject) -> str:
    """Return the run that a Job belongs to, the Job that a pod belongs to, or a run's own name."""
    if kind == "TrainingRun":
        return manifest["metadata"]["name"]
    return manifest["metadata"].get("labels", {}).get(RUN_LABEL if kind == "Job" else JOB_LABEL, "")


def version(manifest: KubernetesObject) -> int:
    """Return the version as a number: Kubernetes guarantees that it only rises."""
    return int(manifest["metadata"]["resourceVersion"])


def _uid(manifest: KubernetesObject) -> str:
    return manifest["metadata"].get("uid", "")


def _without_version(manifest: KubernetesObject) -> KubernetesObject:
    return {**manifest, "metadata": {**manifest["metadata"], "resourceVersion": ""}}
