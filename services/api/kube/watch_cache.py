"""TrainingRuns out of memory, as a watch keeps them; a request where it cannot."""

import threading
from collections.abc import Iterator
from typing import Protocol

from slipway.errors import SlipwayError
from slipway.events import event

from services.api.kube.runs import Conflict, Manifest, Manifests, RunsCluster

_PAUSE_SEC = 1.0


class Watched(RunsCluster, Protocol):
    """A cluster whose changes can be followed; see `KubernetesRuns`."""

    def snapshot(self) -> tuple[str, Manifests]: ...

    def changes(self, version: str) -> Iterator[tuple[str, Manifest]]: ...


class WatchedRuns:
    """A `RunsCluster` that reads from memory while its watch is connected, and from the cluster otherwise.

    Of two states of an object the one with the higher `resourceVersion` is kept, so what this process wrote is seen at
    once and is not undone by what the watch tells of the time before.
    """

    def __init__(self, cluster: Watched) -> None:
        self._cluster = cluster
        self._lock = threading.Lock()
        self._runs: dict[str, Manifest] | None = None  # None: not connected
        self._is_stopping = threading.Event()
        self._was_lost = False
        self._version = 0  # up to which the watch has told everything

    def start(self) -> threading.Thread:
        """Begin to watch, in a thread that is returned."""
        thread = threading.Thread(target=self._follow, name="watch", daemon=True)
        thread.start()
        return thread

    def stop(self) -> None:
        """Begin no other watch; the one that is open ends with the process, or with the connection."""
        self._is_stopping.set()

    def list(self) -> Manifests:
        with self._lock:
            if self._runs is not None:
                return [*self._runs.values()]
        return self._cluster.list()

    def get(self, name: str) -> Manifest | None:
        with self._lock:
            found = self._runs.get(name) if self._runs is not None else None
        return found or self._cluster.get(name)  # another replica may have made it a moment ago

    def create(self, manifest: Manifest) -> Manifest:
        return self._noted(self._cluster.create(manifest))

    def patch(self, name: str, spec: Manifest, version: str) -> Manifest | None:
        try:
            patched = self._cluster.patch(name, spec, version)
        except Conflict:  # what is remembered may be old: the next read asks
            self._forget(name)
            raise
        if patched is None:
            self._forget(name)
            return None
        return self._noted(patched)

    def delete(self, name: str) -> None:
        self._cluster.delete(name)
        self._forget(name)

    def _noted(self, found: Manifest) -> Manifest:
        with self._lock:
            if _version(found) > self._version:  # otherwise the watch has told of it, and perhaps of its end
                self._keep(found)
        return found

    def _keep(self, found: Manifest) -> None:
        if self._runs is None:
            return
        there = self._runs.get(found["metadata"]["name"])
        if there is None or _version(there) < _version(found):
            self._runs[found["metadata"]["name"]] = found

    def _forget(self, name: str) -> None:
        with self._lock:
            if self._runs is not None:
                self._runs.pop(name, None)

    def _follow(self) -> None:
        while not self._is_stopping.wait(_PAUSE_SEC if self._was_lost else 0):
            try:
                self.follow()
            except (SlipwayError, ValueError, KeyError) as error:  # the latter two: a line that broke off
                event("watch_lost", reason=str(error))
            finally:
                with self._lock:
                    self._runs, self._was_lost = None, True

    def follow(self) -> None:
        """Read everything, then follow the changes until the cluster does not answer."""
        version, runs = self._cluster.snapshot()
        with self._lock:
            self._runs, self._version = {run["metadata"]["name"]: run for run in runs}, int(version)
        event("watch_started", runs=len(runs))
        while True:
            for kind, found in self._cluster.changes(str(self._version)):
                self._apply(kind, found)

    def _apply(self, kind: str, found: Manifest) -> None:
        with self._lock:
            self._version = _version(found)
            if kind == "DELETED" and self._runs is not None:
                there = self._runs.get(found["metadata"]["name"])
                if there is not None and _version(there) <= self._version:
                    del self._runs[found["metadata"]["name"]]
            elif kind != "BOOKMARK":
                self._keep(found)


def _version(found: Manifest) -> int:
    """Return the object's version: a number that only rises, as Kubernetes has come to promise."""
    return int(found["metadata"]["resourceVersion"])
