"""What the watches have told of runs, Jobs and pods, so that a look asks the API server for next to nothing."""

import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from services.controller.kube.client import Cluster, Conflict, Kind
from services.controller.manifests import RUN_LABEL, Manifest

KINDS: tuple[Kind, ...] = ("Pod", "Job", "TrainingRun")  # a run last: what a run says of its Jobs is the newest

_JOB_LABEL = "batch.kubernetes.io/job-name"
# All that anybody here reads: the rest would be most of the memory, and most changes are of no interest.
_READ: dict[Kind, dict[str, Any]] = {
    "TrainingRun": {
        "metadata": ("name", "uid", "creationTimestamp", "deletionTimestamp", "resourceVersion"),
        "spec": None,
        "status": None,
    },
    "Job": {
        "metadata": ("name", "uid", "labels", "ownerReferences", "deletionTimestamp", "resourceVersion"),
        "spec": ("suspend", "ttlSecondsAfterFinished", "backoffLimit", "backoffLimitPerIndex"),
        "status": ("startTime", "succeeded", "conditions"),
    },
    "Pod": {
        "metadata": ("name", "uid", "creationTimestamp", "resourceVersion"),
        "spec": ("nodeName",),
        "status": ("phase", "reason", "message", "conditions", "initContainerStatuses", "containerStatuses"),
    },
}


class Server(Protocol):
    """What `Watched` needs of the API server; the writes return the object as it then is, where it is told."""

    def run(self, name: str) -> Manifest | None: ...
    def pods(self, job: str) -> list[Manifest]: ...
    def live_pods(self, run: str) -> list[str]: ...
    def pages(self, kind: Kind) -> Iterator[tuple[Iterable[Manifest], str]]:
        """Yield pages of objects, each with the version of the whole list."""

    def create(self, manifest: Manifest) -> Manifest | None: ...
    def patch_job(self, name: str, spec: Manifest) -> Manifest | None: ...
    def delete_job(self, name: str) -> None: ...
    def write_status(self, run: Manifest) -> Manifest: ...


class Index:
    """The newest version that was seen of each object, without the fields that nobody reads.

    Of pods only those are kept that wait or have failed. Nothing that is in it is ever changed, only replaced.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[Kind, dict[str, dict[str, Manifest]]] = {kind: {} for kind in KINDS}

    def see(self, kind: Kind, manifest: Manifest) -> bool:
        """Take in a version of an object; say whether it tells anything new."""
        seen, name = _slim(kind, manifest), str(manifest["metadata"]["name"])
        with self._lock:
            objects = self._found[kind].setdefault(group(kind, manifest), {})
            there = objects.get(name)
            if there and _version(there) >= _version(manifest):
                return False
            if kind == "Pod" and seen["status"].get("phase") not in ("Pending", "Failed"):
                return objects.pop(name, None) is not None
            objects[name] = seen
            return there is None or _unversioned(there) != _unversioned(seen)

    def forget(self, kind: Kind, manifest: Manifest) -> bool:
        """Drop an object that is gone; say whether it was there."""
        name, of = manifest["metadata"]["name"], group(kind, manifest)
        with self._lock:
            objects = self._found[kind].get(of, {})
            is_same = name in objects and objects[name]["metadata"]["uid"] == manifest["metadata"]["uid"]
            if is_same:
                del objects[name]
            if not objects:
                self._found[kind].pop(of, None)
            return is_same

    def keep(self, kind: Kind, uids: set[str], version: str) -> None:
        """Drop what was not in a list of that version, and is no younger: its end was missed."""
        with self._lock:
            for objects in self._found[kind].values():
                for name, there in [*objects.items()]:
                    if there["metadata"]["uid"] not in uids and _version(there) <= int(version):
                        del objects[name]

    def of(self, kind: Kind, of: str) -> list[Manifest]:
        """Return the run of that name, a run's Jobs, or a Job's pods."""
        with self._lock:
            return list(self._found[kind].get(of, {}).values())

    def runs(self) -> list[Manifest]:
        with self._lock:
            return [run for objects in self._found["TrainingRun"].values() for run in objects.values()]


class Watched(Cluster):
    """A `Cluster` that reads from an index, and sees what it writes itself at once."""

    def __init__(self, server: Server) -> None:
        self.index = Index()
        self._server = server

    def refresh(self) -> None:
        """Compare the index with the server's own lists: an end that no watch told of is found here."""
        for kind in KINDS:
            uids, version = set(), "0"
            for page, of in self._server.pages(kind):
                version = of
                for manifest in page:
                    self.index.see(kind, manifest)
                    uids.add(manifest["metadata"]["uid"])
            self.index.keep(kind, uids, version)

    def run(self, name: str) -> Manifest | None:
        return next(iter(self.index.of("TrainingRun", name)), None)

    def jobs(self, run: str) -> list[Manifest]:
        return self.index.of("Job", run)

    def pods(self, job: str, latest: bool = False) -> list[Manifest]:
        return self._server.pods(job) if latest else self.index.of("Pod", job)

    def live_pods(self, run: str) -> list[str]:
        return self._server.live_pods(run)

    def confirm(self, run: Manifest) -> None:
        metadata = run["metadata"]
        found = self._server.run(metadata["name"])
        if found is None:
            self.index.forget("TrainingRun", run)
        elif found["metadata"]["resourceVersion"] == metadata["resourceVersion"]:
            return
        else:
            self.index.see("TrainingRun", found)
        raise Conflict(f"TrainingRun {metadata['name']} is not as it was seen; looking again")

    def create(self, manifest: Manifest) -> None:
        made = self._server.create(manifest)
        if made and manifest["kind"] == "Job":
            self.index.see("Job", made)

    def patch_job(self, name: str, spec: Manifest) -> None:
        if patched := self._server.patch_job(name, spec):
            self.index.see("Job", patched)

    def delete_job(self, name: str) -> None:
        self._server.delete_job(name)

    def write_status(self, run: Manifest) -> None:
        try:
            self.index.see("TrainingRun", self._server.write_status(run))
        except Conflict:
            self.confirm(run)  # which sees it anew, so that the next look does not meet the same conflict
            raise


def group(kind: Kind, manifest: Manifest) -> str:
    """Return the run that a Job belongs to, the Job that a pod belongs to, or a run's own name."""
    metadata = manifest["metadata"]
    if kind == "TrainingRun":
        return str(metadata["name"])
    return str(metadata.get("labels", {}).get(RUN_LABEL if kind == "Job" else _JOB_LABEL, ""))


def _slim(kind: Kind, manifest: Manifest) -> Manifest:
    slim: Manifest = {name: manifest[name] for name in ("apiVersion", "kind") if name in manifest}
    for part, fields in _READ[kind].items():
        whole: Mapping[str, Any] = manifest.get(part, {})
        slim[part] = dict(whole) if fields is None else {f: whole[f] for f in fields if f in whole}
    if kind == "TrainingRun" and "status" not in manifest:
        del slim["status"]
    return slim


def _version(manifest: Manifest) -> int:
    """Return which of two versions is the newer: the server counts them, and promises to."""
    return int(manifest["metadata"]["resourceVersion"])


def _unversioned(manifest: Manifest) -> Manifest:
    return manifest | {"metadata": {**manifest["metadata"], "resourceVersion": ""}}
