"""When to look: at every event of a run or its Jobs, and now and then at all that is not settled."""

import asyncio
import logging
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import kopf

from slipway.errors import EXIT_BUG, EXIT_DONE, SlipwayError
from slipway.telemetry import event

from services.controller.crd import GROUP, PLURAL, VERSION
from services.controller.jobs import RUN_LABEL, Manifest
from services.controller.reconcile import Desk, reconcile
from services.controller.status import Status

_RESYNC_SEC = 15.0  # how old progress may be, and how soon a look that failed is repeated
_HEALTH = "http://0.0.0.0:8080/healthz"


def operate(desk: Desk, namespace: str) -> int:
    """Look at the namespace's runs until the process is told to stop; return its exit code.

    Nothing of kopf's that writes to objects is used: no finalizers, no annotations, no events.
    """
    names = _unsettled(desk.cluster.runs())  # fails at once where the resource, or the right to read it, is missing
    event("controller_started", namespace=namespace, unsettled=len(names))
    watch = _Watch(desk)
    identity: Any = "slipway-controller"  # kopf would ask for the user's name, and a numeric user has none
    kopf.run(
        identity=identity,
        registry=_registry(watch),
        settings=_quiet(),
        standalone=True,
        namespaces=[namespace],
        liveness_endpoint=_HEALTH,
        stop_flag=watch.broken,
    )
    return EXIT_BUG if watch.broken.is_set() else EXIT_DONE


class _Watch:
    """Looks at runs, each by one thread at a time.

    Attributes:
      broken: Set when the resync has died: better no controller, which is started again, than half of one.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._turns: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._resync: asyncio.Task[None] | None = None
        self.broken = asyncio.Event()

    async def look(self, names: Iterable[str]) -> None:
        """Look at each of the runs; what goes wrong with one is logged, and does not touch the others."""
        names = list(names)
        looks = (asyncio.to_thread(self._look, name) for name in names)
        for name, outcome in zip(names, await asyncio.gather(*looks, return_exceptions=True), strict=True):
            if isinstance(outcome, SlipwayError):
                event("look_postponed", logging.WARNING, run=name, reason=str(outcome))
            elif isinstance(outcome, Exception):
                logging.getLogger("slipway").error("look at %s: %r", name, outcome, exc_info=outcome)

    def start(self) -> None:
        self._resync = asyncio.create_task(self._look_often())
        self._resync.add_done_callback(self._ended)

    def stop(self) -> None:
        if self._resync:
            self._resync.cancel()

    def _ended(self, resync: asyncio.Task[None]) -> None:
        if not resync.cancelled():
            logging.getLogger("slipway").error("resync died", exc_info=resync.exception())
            self.broken.set()

    def _look(self, name: str) -> None:
        with self._turns[name]:
            reconcile(name, self._desk)

    async def _look_often(self) -> None:
        while True:
            try:
                names = _unsettled(await asyncio.to_thread(self._desk.cluster.runs))
            except SlipwayError as error:
                event("resync_postponed", logging.WARNING, reason=str(error))
            else:
                await self.look(names)
            await asyncio.sleep(_RESYNC_SEC)


def _registry(watch: _Watch) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    def login(**arguments: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_via_client(**arguments)

    @kopf.on.startup(registry=registry)
    async def start(**_: Any) -> None:
        watch.start()

    @kopf.on.cleanup(registry=registry)
    async def stop(**_: Any) -> None:
        watch.stop()

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
    async def run_seen(name: str | None, **_: Any) -> None:
        await watch.look([str(name)])

    @kopf.on.event("batch", "v1", "jobs", labels={RUN_LABEL: kopf.PRESENT}, registry=registry)
    async def job_seen(labels: Mapping[str, str], **_: Any) -> None:
        await watch.look([labels[RUN_LABEL]])

    return registry


def _quiet() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.watching.server_timeout = 300  # a stream that died unnoticed is replaced after so many seconds
    settings.watching.client_timeout = 330
    settings.watching.connect_timeout = 10
    return settings


def _unsettled(runs: Iterable[Manifest]) -> list[str]:
    """Name the runs about which something may be left to do."""
    names = []
    for run in runs:
        status = Status.model_validate(run.get("status", {}))
        if not (status.is_final and status.settled == run["spec"].get("attempt", 1)):
            names.append(str(run["metadata"]["name"]))
    return names
