"""Kubernetes objects as JSON: the fields that Slipway reads or writes."""

from typing import Any, Literal, NotRequired, Required, TypedDict


class OwnerReference(TypedDict, total=False):
    """The object with which another is deleted."""

    apiVersion: str
    kind: str
    name: str
    uid: Required[str]
    controller: bool
    blockOwnerDeletion: bool


class ObjectMeta(TypedDict, total=False):
    """The metadata of any object; `resourceVersion` is a number that only rises."""

    name: Required[str]
    uid: str
    creationTimestamp: str
    deletionTimestamp: str
    resourceVersion: str
    labels: dict[str, str]
    annotations: dict[str, str]
    ownerReferences: list[OwnerReference]


class KubernetesObject(TypedDict):
    """An object of any kind.

    `spec` and `status` depend on the kind: for a TrainingRun, they are `RunSpec` and `RunStatus` in camelCase.
    """

    metadata: ObjectMeta
    apiVersion: NotRequired[str]
    kind: NotRequired[str]
    spec: NotRequired[dict[str, Any]]
    status: NotRequired[dict[str, Any]]
    stringData: NotRequired[dict[str, str]]


class ListMeta(TypedDict, total=False):
    """The metadata of a list; `continue` is the position of its next page."""

    resourceVersion: Required[str]


class ObjectList(TypedDict):
    """One page of a list of objects."""

    metadata: ListMeta
    items: list[KubernetesObject]


class WatchEvent(TypedDict):
    """One change to an object, or the end of a watch."""

    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"]
    object: KubernetesObject
