"""When to look: at what is new of a run, its Jobs and its pods, and now and then at all that is not settled."""

import asyncio
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, cast

import aiohttp
import kopf
from prometheus_client import REGISTRY, start_http_server

from slipway.errors import EXIT_BUG, EXIT_DONE, Conflict, SlipwayError
from slipway.events import event
from slipway.kube.names import GROUP, PLURALS, RUN_LABEL, VERSION, Kind
from slipway.kube.objects import KubernetesObject

from services.controller import metrics
from services.controller.collectors.pods import Tally
from services.controller.collectors.runs import Fleet, shown
from services.controller.collectors.stage_snapshots import Told
from services.controller.kube.informer import CachedCluster
from services.controller.reconcile import Desk, reconcile
from services.controller.status import Status
from services.controller.work_queue import Turns

_WORKERS = 8  # a look waits for the store or the API server most of the time
_DEBOUNCE_SEC = 0.2  # several events become one look
_AGAIN_SEC = 15.0  # how soon a look that failed is repeated, and how old progress may be
_LEARN_SEC = 10.0  # how old the numbers of stages may be
_REFRESH_SEC = 300.0  # how long an end may stay unnoticed of which no watch told
_LEAVE_SEC = 20  # whatever still hangs after kopf has failed; it waits for its tasks for five by itself


def operate(desk: Desk, cluster: CachedCluster, namespace: str, health_port: int, metrics_port: int) -> int:
    """Look at the namespace's runs until the process is told to stop; return its exit code.

    Nothing of kopf's that writes to objects is used: no finalizers, no annotations, no events. SIGTERM ends the process
    at once, whatever hangs in the store or in a stream: whatever it was doing, the next process goes on with.
    """
    signal.signal(signal.SIGTERM, _leave)  # the first process of a container has no default
    cluster.refresh()  # fails at once where the resource, or the right to read it, is missing
    watch = _Watch(desk, cluster)
    event("controller_started", namespace=namespace, unsettled=len(unsettled(cluster.runs())))
    metrics.QUEUE.set_function(lambda: len(watch.turns))
    REGISTRY.register(Fleet(cluster.runs, watch.told, time.time))
    start_http_server(metrics_port)
    watch.start()
    asyncio.run(_follow(_registry(watch), namespace, health_port))
    return EXIT_DONE


async def _follow(registry: kopf.OperatorRegistry, namespace: str, health_port: int) -> None:
    identity: Any = "slipway-controller"  # kopf would ask for the user's name, and a numeric user has none
    tasks = await kopf.spawn_tasks(
        identity=identity,
        registry=registry,
        settings=_quiet(),
        standalone=True,
        namespaces=[namespace],
        liveness_endpoint=f"http://0.0.0.0:{health_port}/healthz",
    )
    for number in (signal.SIGTERM, signal.SIGINT):  # kopf has just taken them over, to wait for what may hang
        asyncio.get_running_loop().add_signal_handler(number, _leave)
    await kopf.run_tasks(tasks)


def _leave(*_: Any) -> None:
    os._exit(EXIT_DONE)  # Python's own way out aborts where a daemon thread is writing


def _or_end(work: Callable[[], None]) -> None:
    """Work, and end the process if that fails: better no controller, which is started again, than half of one."""
    try:
        work()
    except Exception:
        logging.getLogger("slipway").exception("a thread died")
        os._exit(EXIT_BUG)


class _Watch:
    """Looks at runs, each by one thread at a time."""

    def __init__(self, desk: Desk, cluster: CachedCluster) -> None:
        self.turns = Turns()
        self.told = Told(desk.store, time.time)
        self._desk, self._cluster = desk, cluster
        self._tally = Tally(cluster.cache, desk.clock())

    def start(self) -> None:
        self._ask(unsettled(self._cluster.runs()))
        for work in [self._look_on] * _WORKERS + [self._look_often, self._learn_often, self._refresh_often]:
            threading.Thread(target=_or_end, args=[work], daemon=True).start()

    def saw(self, kind: Kind, how: str | None, manifest: KubernetesObject) -> None:
        """Take in an event; what is new is looked at."""
        is_gone = how == "DELETED"
        is_new = (self._cluster.cache.remove if is_gone else self._cluster.cache.put)(kind, manifest)
        if kind == "Pod" and not is_gone:
            self._tally.saw(manifest)
        if is_new:
            name = manifest["metadata"]["name"] if kind == "TrainingRun" else manifest["metadata"]["labels"][RUN_LABEL]
            self.turns.ask(name, _DEBOUNCE_SEC)

    def _ask(self, runs: Iterable[KubernetesObject]) -> None:
        for run in runs:
            self.turns.ask(str(run["metadata"]["name"]))

    def _look_on(self) -> None:
        while True:
            name = self.turns.take()
            try:
                with metrics.RECONCILE.time():
                    has_more = reconcile(name, self._desk)
                if has_more:
                    self.turns.ask(name)
            except Conflict:
                self.turns.ask(name, _DEBOUNCE_SEC)  # it has been read anew
            except SlipwayError as error:
                metrics.ERRORS.inc()
                event("look_postponed", logging.WARNING, run=name, reason=str(error))
                self.turns.ask(name, _AGAIN_SEC)
            except Exception:  # what goes wrong with one run does not touch the others
                metrics.ERRORS.inc()
                logging.getLogger("slipway").exception("a look failed", extra={"fields": {"run": name}})
                self.turns.ask(name, _AGAIN_SEC)
            finally:
                self.turns.give_back(name)

    def _look_often(self) -> None:
        while True:
            time.sleep(_AGAIN_SEC)
            self._ask(run for run in unsettled(self._cluster.runs()) if _may_change_unseen(run))

    def _learn_often(self) -> None:
        while True:
            try:
                self.told.learn(shown(self._cluster.runs()))
            except SlipwayError as error:
                event("numbers_unknown", logging.WARNING, reason=str(error))
            time.sleep(_LEARN_SEC)

    def _refresh_often(self) -> None:
        while True:
            time.sleep(_REFRESH_SEC)
            try:
                self._cluster.refresh()
            except SlipwayError as error:
                event("refresh_postponed", logging.WARNING, reason=str(error))
            self._tally.forget()
            self._ask(unsettled(self._cluster.runs()))


def _registry(watch: _Watch) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    async def login(**arguments: Any) -> kopf.AiohttpSession | None:
        found = kopf.login_via_client(**arguments)
        return _counted(found) if found else None

    def follow(kind: Kind, group: str, version: str) -> None:
        async def seen(type: str | None, body: kopf.Body, **_: Any) -> None:
            watch.saw(kind, type, cast(KubernetesObject, dict(body)))

        kopf.on.event(group, version, PLURALS[kind], registry=registry)(seen)

    follow("TrainingRun", GROUP, VERSION)
    follow("Job", "batch", "v1")
    follow("Pod", "", "v1")
    return registry


def _counted(found: kopf.ConnectionInfo) -> kopf.AiohttpSession:
    """Return a session like kopf's own that counts what is asked through it."""

    async def count(_session: Any, _context: Any, request: aiohttp.TraceRequestStartParams) -> None:
        name = request.url.name
        many = "watch" if request.url.query.get("watch") == "true" else "list"
        metrics.count_request(many if name in PLURALS.values() else request.method.lower(), name)

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(count)
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=found.as_ssl_context()),
        headers=found.as_http_headers(),
        trace_configs=[trace],
    )
    return kopf.AiohttpSession(aiohttp_session=session, server=found.server, default_namespace=found.default_namespace)


def _quiet() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.process.ultimate_exiting_timeout = _LEAVE_SEC  # then kopf kills the process; its default is ten minutes
    settings.queueing.idle_timeout = 1.0  # each object that had an event holds a task for so long
    settings.watching.server_timeout = 300  # a stream that died unnoticed is replaced after so many seconds
    settings.watching.client_timeout = 330
    settings.watching.connect_timeout = 10
    for kind in ("jobs", "pods"):
        settings.watching.label_selectors[kind] = RUN_LABEL
    return settings


def unsettled(runs: Iterable[KubernetesObject]) -> list[KubernetesObject]:
    """Return the runs about which something may be left to do."""
    return [run for run in runs if not _is_settled(run)]


def _is_settled(run: KubernetesObject) -> bool:
    status = Status.model_validate(run.get("status", {}))
    return status.is_final and status.settled == run["spec"].get("attempt", 1)


def _may_change_unseen(run: KubernetesObject) -> bool:
    """Say whether no event tells of what comes next: a training's progress, or the end of what a run waits for."""
    status = run.get("status", {})
    return status.get("stage") == "train" or "reason" in status
