"""The TrainingRuns of a namespace in memory: implements `RunsCluster`, and the watch that it uses."""

import copy
import queue
import threading
from collections.abc import Iterator

from slipway.errors import AlreadyExists, ClusterUnavailable, Conflict

from services.api.kube.runs import Manifests


class FakeRuns:
    """Holds objects as JSON, and gives each change a higher version.

    Attributes:
      is_away: Whether the API server does not answer.
      reads: Number of reads.
    """

    def __init__(self) -> None:
        self.objects: dict[str, dict] = {}
        self.is_away = False
        self.reads = 0
        self._version = 0
        self._lock = threading.Lock()
        self._changes: queue.Queue[dict | None] = queue.Queue()

    def list(self) -> Manifests:
        return self.snapshot()[1]

    def snapshot(self) -> tuple[str, Manifests]:
        self._check_reachable()
        self.reads += 1
        with self._lock:
            return str(self._version), copy.deepcopy([*self.objects.values()])

    def changes(self, version: str) -> Iterator[dict]:
        """Yield the changes until `hang_up` is called."""
        while change := self._changes.get():
            if int(change["object"]["metadata"]["resourceVersion"]) > int(version):
                yield change
        raise ClusterUnavailable("watch TrainingRuns: the API server does not answer; try again")

    def hang_up(self) -> None:
        self._changes.put(None)

    def get(self, name: str) -> dict | None:
        self._check_reachable()
        self.reads += 1
        with self._lock:
            return copy.deepcopy(self.objects.get(name))

    def create(self, manifest: dict) -> dict:
        self._check_reachable()
        name = manifest["metadata"]["name"]
        with self._lock:
            if name in self.objects:
                raise AlreadyExists(f"TrainingRun {name} exists already")
            second = f"{len(self.objects) % 60:02}"
            run = copy.deepcopy(manifest)
            run["metadata"] |= {"uid": f"uid-{self._version}", "creationTimestamp": f"2026-01-31T12:00:{second}Z"}
            return self._record("ADDED", run)

    def patch(self, name: str, spec: dict, version: str) -> dict | None:
        self._check_reachable()
        with self._lock:
            if name not in self.objects:
                return None
            if self.objects[name]["metadata"]["resourceVersion"] != version:
                raise Conflict(f"patch TrainingRun {name}: 409 the object has been modified")
            run = copy.deepcopy(self.objects[name])
            run["spec"] |= spec
            return self._record("MODIFIED", run)

    def delete(self, name: str) -> None:
        self._check_reachable()
        with self._lock:
            if name in self.objects:
                self._record("DELETED", self.objects[name])
                del self.objects[name]

    def report(self, name: str, **status) -> dict:
        """Change a run's status, as the controller does."""
        with self._lock:
            run = copy.deepcopy(self.objects[name])
            run["status"] = run.get("status", {}) | status
            return self._record("MODIFIED", run)

    def _record(self, kind: str, run: dict) -> dict:
        self._version += 1
        run["metadata"]["resourceVersion"] = str(self._version)
        self.objects[run["metadata"]["name"]] = run
        self._changes.put({"type": kind, "object": copy.deepcopy(run)})
        return copy.deepcopy(run)

    def _check_reachable(self) -> None:
        if self.is_away:
            raise ClusterUnavailable("the API server does not answer; try again")
