"""The context of a reconciliation."""

from collections.abc import Callable
from dataclasses import dataclass

from slipway.store.interface import ObjectStore

from services.controller.kube.client import Cluster
from services.controller.settings import Settings


@dataclass(frozen=True)
class ControllerContext:
    """Cluster, store, settings and clock.

    Attributes:
      clock: Returns the time as RFC 3339, in UTC.
    """

    cluster: Cluster
    store: ObjectStore
    settings: Settings
    clock: Callable[[], str]
