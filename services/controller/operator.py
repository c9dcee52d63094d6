"""The operator: reconciles a run whenever it, its Jobs or its pods change, and at intervals until it is settled."""

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
from services.controller.collectors.pods import PodCounters
from services.controller.collectors.runs import RunCollector, exported_runs
from services.controller.collectors.stage_snapshots import SnapshotCache
from services.controller.context import ControllerContext
from services.controller.kube.informer import CachedCluster
from services.controller.kube.objects import state_of
from services.controller.reconcile import reconcile
from services.controller.work_queue import WorkQueue

_WORKERS = 8  # reconciling mostly waits for the store or the API server
_DEBOUNCE_SEC = 0.2  # several events lead to one reconciliation
_RETRY_SEC = 15.0  # after a reconciliation that failed; also the greatest age of a training's progress
_SNAPSHOTS_SEC = 10.0  # the greatest age of the metrics of stages
_REFRESH_SEC = 300.0  # the longest time that a missed watch event stays unnoticed
_EXIT_SEC = 20  # for tasks that still hang after kopf has failed; kopf itself waits five seconds for them


def operate(
    context: ControllerContext, cluster: CachedCluster, namespace: str, health_port: int, metrics_port: int
) -> int:
    """Reconcile the namespace's runs until the process is asked to stop; return its exit code.

    None of kopf's features that write to objects is used: no finalizers, no annotations, no events. SIGTERM ends the
    process at once, even if a request or a stream hangs, because the next process continues from any state.
    """
    signal.signal(signal.SIGTERM, _exit)  # the first process of a container has no default action
    cluster.refresh()  # fails at once where the resource, or the right to read it, is missing
    operator = _Operator(context, cluster)
    event("controller_started", namespace=namespace, unsettled=len(unsettled_runs(cluster.runs())))
    metrics.QUEUE.set_function(lambda: len(operator.queue))
    REGISTRY.register(RunCollector(cluster.runs, operator.snapshots, time.time))
    start_http_server(metrics_port)
    operator.start()
    asyncio.run(_watch(_registry(operator), namespace, health_port))
    return EXIT_DONE


async def _watch(registry: kopf.OperatorRegistry, namespace: str, health_port: int) -> None:
    identity: Any = "slipway-controller"  # kopf would look up the user's name, and a numeric user has none
    tasks = await kopf.spawn_tasks(
        identity=identity,
        registry=registry,
        settings=_kopf_settings(),
        standalone=True,
        namespaces=[namespace],
        liveness_endpoint=f"http://0.0.0.0:{health_port}/healthz",
    )
    for number in (signal.SIGTERM, signal.SIGINT):  # in place of kopf's, which wait for tasks that may hang
        asyncio.get_running_loop().add_signal_handler(number, _exit)
    await kopf.run_tasks(tasks)


def _exit(*_: Any) -> None:
    os._exit(EXIT_DONE)  # Python's own exit aborts where a daemon thread is writing


def _or_exit(work: Callable[[], None]) -> None:
    """Run a thread's work, and end the process if it fails, so that Kubernetes restarts the controller."""
    try:
        work()
    except Exception:
        logging.getLogger("slipway").exception("a thread died")
        os._exit(EXIT_BUG)


class _Operator:
    """Threads that reconcile runs, each run in one thread at a time."""

    def __init__(self, context: ControllerContext, cluster: CachedCluster) -> None:
        self.queue = WorkQueue()
        self.snapshots = SnapshotCache(context.store, time.time)
        self._context, self._cluster = context, cluster
        self._pod_counters = PodCounters(cluster.cache, context.clock())

    def start(self) -> None:
        self._put(unsettled_runs(self._cluster.runs()))
        for work in [self._reconcile] * _WORKERS + [self._poll, self._read_snapshots, self._refresh]:
            threading.Thread(target=_or_exit, args=[work], daemon=True).start()

    def receive(self, kind: Kind, change: str | None, manifest: KubernetesObject) -> None:
        """Cache the object of a watch event, and queue its run if a field that matters has changed."""
        is_deleted = change == "DELETED"
        is_news = (self._cluster.cache.remove if is_deleted else self._cluster.cache.put)(kind, manifest)
        if kind == "Pod" and not is_deleted:
            self._pod_counters.observe(manifest)
        if is_news:
            metadata = manifest["metadata"]
            run = metadata["name"] if kind == "TrainingRun" else metadata.get("labels", {}).get(RUN_LABEL, "")
            self.queue.put(run, _DEBOUNCE_SEC)

    def _put(self, runs: Iterable[KubernetesObject]) -> None:
        for run in runs:
            self.queue.put(run["metadata"]["name"])

    def _reconcile(self) -> None:
        while True:
            name = self.queue.get()
            try:
                with metrics.RECONCILE.time():
                    has_more = reconcile(name, self._context)
                if has_more:
                    self.queue.put(name)
            except Conflict:
                self.queue.put(name, _DEBOUNCE_SEC)  # the cache has its current version by now
            except SlipwayError as error:
                metrics.ERRORS.inc()
                event("look_postponed", logging.WARNING, run=name, reason=str(error))
                self.queue.put(name, _RETRY_SEC)
            except Exception:  # a bug that one run meets must not stop the others
                metrics.ERRORS.inc()
                logging.getLogger("slipway").exception("a reconciliation failed", extra={"fields": {"run": name}})
                self.queue.put(name, _RETRY_SEC)
            finally:
                self.queue.done(name)

    def _poll(self) -> None:
        while True:
            time.sleep(_RETRY_SEC)
            self._put(run for run in unsettled_runs(self._cluster.runs()) if _changes_without_event(run))

    def _read_snapshots(self) -> None:
        while True:
            try:
                self.snapshots.refresh(exported_runs(self._cluster.runs()))
            except SlipwayError as error:
                event("numbers_unknown", logging.WARNING, reason=str(error))
            time.sleep(_SNAPSHOTS_SEC)

    def _refresh(self) -> None:
        while True:
            time.sleep(_REFRESH_SEC)
            try:
                self._cluster.refresh()
            except SlipwayError as error:
                event("refresh_postponed", logging.WARNING, reason=str(error))
            self._pod_counters.forget_deleted()
            self._put(unsettled_runs(self._cluster.runs()))


def _registry(operator: _Operator) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    async def login(**arguments: Any) -> kopf.AiohttpSession | None:
        connection = kopf.login_via_client(**arguments)
        return _counting_session(connection) if connection else None

    def follow(kind: Kind, group: str, version: str) -> None:
        async def receive(type: str | None, body: kopf.Body, **_: Any) -> None:
            operator.receive(kind, type, cast(KubernetesObject, dict(body)))

        kopf.on.event(group, version, PLURALS[kind], registry=registry)(receive)

    follow("TrainingRun", GROUP, VERSION)
    follow("Job", "batch", "v1")
    follow("Pod", "", "v1")
    return registry


def _counting_session(connection: kopf.ConnectionInfo) -> kopf.AiohttpSession:
    """Return a session like kopf's own that counts its requests."""

    async def count(_session: Any, _context: Any, request: aiohttp.TraceRequestStartParams) -> None:
        name = request.url.name
        list_verb = "watch" if request.url.query.get("watch") == "true" else "list"
        metrics.count_request(list_verb if name in PLURALS.values() else request.method.lower(), name)

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(count)
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=connection.as_ssl_context()),
        headers=connection.as_http_headers(),
        trace_configs=[trace],
    )
    namespace = connection.default_namespace
    return kopf.AiohttpSession(aiohttp_session=session, server=connection.server, default_namespace=namespace)


def _kopf_settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.process.ultimate_exiting_timeout = _EXIT_SEC  # then kopf kills the process; its default is ten minutes
    settings.queueing.idle_timeout = 1.0  # kopf keeps a task per object for so long after an event
    settings.watching.server_timeout = 300  # after so many seconds a stream that died unnoticed is replaced
    settings.watching.client_timeout = 330
    settings.watching.connect_timeout = 10
    for kind in ("jobs", "pods"):
        settings.watching.label_selectors[kind] = RUN_LABEL
    return settings


def unsettled_runs(runs: Iterable[KubernetesObject]) -> list[KubernetesObject]:
    """Return the runs that may still need work."""
    return [run for run in runs if not _is_settled(run)]


def _is_settled(run: KubernetesObject) -> bool:
    attempt, status = run.get("spec", {}).get("attempt", 1), run.get("status", {})
    return state_of(run).is_final and bool(status.get("settled", 0) == attempt)


def _changes_without_event(run: KubernetesObject) -> bool:
    """Check whether the next change is one that no watch reports: a training's progress, or the end of a wait."""
    status = run.get("status", {})
    return status.get("stage") == "train" or "reason" in status
