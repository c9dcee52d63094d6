"""A cache of TrainingRuns kept current by a watch; falls back to the API server."""

import threading
from collections.abc import Iterator
from typing import Any, Protocol

from slipway.errors import Conflict, SlipwayError
from slipway.events import event
from slipway.kube.cache import ObjectCache, version
from slipway.kube.objects import KubernetesObject, WatchEvent

from services.api.kube.runs import Manifests, RunsCluster

_PAUSE_SEC = 1.0


class WatchableRuns(RunsCluster, Protocol):
    """A cluster whose changes can be followed; see `KubernetesRuns`."""

    def snapshot(self) -> tuple[str, Manifests]: ...

    def changes(self, version: str) -> Iterator[WatchEvent]: ...


class CachedRuns:
    """A `RunsCluster` that reads from memory while its watch is connected, and from the cluster otherwise.

    Of two versions of an object the higher is kept, so a write of this process is seen at once, and no earlier change
    that the watch reports afterwards undoes it.
    """

    def __init__(self, cluster: WatchableRuns) -> None:
        self._cluster = cluster
        self._lock = threading.Lock()
        self._cache: ObjectCache | None = None  # None while the watch is not connected
        self._is_stopping = threading.Event()
        self._was_lost = False
        self._version = 0  # up to which the watch has reported every change

    def start(self) -> threading.Thread:
        """Begin to watch, in a thread that is returned."""
        thread = threading.Thread(target=self._follow_on, name="watch", daemon=True)
        thread.start()
        return thread

    def stop(self) -> None:
        """Open no more watches; an open one ends with the process, or with the connection."""
        self._is_stopping.set()

    def list(self) -> Manifests:
        with self._lock:
            if self._cache is not None:
                return self._cache.all("TrainingRun")
        return self._cluster.list()

    def get(self, name: str) -> KubernetesObject | None:
        with self._lock:
            runs = self._cache.owned_by("TrainingRun", name) if self._cache is not None else []
        return runs[0] if runs else self._cluster.get(name)  # another replica may have made it a moment ago

    def create(self, manifest: KubernetesObject) -> KubernetesObject:
        return self._put(self._cluster.create(manifest))

    def patch(self, name: str, spec: dict[str, Any], version: str) -> KubernetesObject | None:
        try:
            run = self._cluster.patch(name, spec, version)
        except Conflict:  # the cached object may be old: the next read asks the cluster
            self._remove(name)
            raise
        if run is None:
            self._remove(name)
            return None
        return self._put(run)

    def delete(self, name: str) -> None:
        self._cluster.delete(name)
        self._remove(name)

    def _put(self, run: KubernetesObject) -> KubernetesObject:
        with self._lock:
            # An older version the watch has reported already, and perhaps the object's end too.
            if self._cache is not None and version(run) > self._version:
                self._cache.put("TrainingRun", run)
        return run

    def _remove(self, name: str) -> None:
        with self._lock:
            if self._cache is not None:
                self._cache.remove_group("TrainingRun", name)

    def _follow_on(self) -> None:
        while not self._is_stopping.wait(_PAUSE_SEC if self._was_lost else 0):
            try:
                self.follow()
            except (SlipwayError, ValueError, KeyError) as error:  # the latter two: a line that broke off
                event("watch_lost", reason=str(error))
            finally:
                with self._lock:
                    self._cache, self._was_lost = None, True

    def follow(self) -> None:
        """Read every run, then follow the changes until the cluster does not answer."""
        list_version, runs = self._cluster.snapshot()
        cache = ObjectCache()
        for run in runs:
            cache.put("TrainingRun", run)
        with self._lock:
            self._cache, self._version = cache, int(list_version)
        event("watch_started", runs=len(runs))
        while True:
            for change in self._cluster.changes(str(self._version)):
                self._apply(change)

    def _apply(self, change: WatchEvent) -> None:
        run = change["object"]
        with self._lock:
            self._version = version(run)
            if self._cache is None or change["type"] == "BOOKMARK":
                return
            if change["type"] == "DELETED":
                self._cache.remove("TrainingRun", run)
            else:
                self._cache.put("TrainingRun", run)
