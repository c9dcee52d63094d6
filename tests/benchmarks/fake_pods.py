"""Fake nodes, played by kwok, and fake pods on them, played by this module.

kwok could play the pods as well, but its watch of them fails with an API server of 1.34 over an etcd of 3.4, and is
retried at growing intervals. So pods are played here: each runs as soon as it has a node, and ends when the documents
of its stage have been written.
"""

import heapq
import json
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kubernetes import client, watch
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from slipway import keys
from slipway.run.plan import resolve
from slipway.run.spec import TrainSpec
from slipway.store.interface import ObjectStore
from tests.fakes.stages import BEST, DATASET, REPORT

LABEL = "slipway.dev/benchmark"
_NODES = 4
# Without a stage for pods, kwok would apply its default ones.
_STAGES = """\
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: go}
spec:
  resourceRef: {apiGroup: v1, kind: Pod}
  selector:
    matchExpressions: [{key: .metadata.deletionTimestamp, operator: Exists}]
  next: {finalizers: {empty: true}, delete: true}
"""


@contextmanager
def fake_nodes(name: str, folder: Path) -> Iterator[None]:
    """Create nodes that accept only pods with the toleration `LABEL`, and run kwok to play their kubelets."""
    program = shutil.which("kwok")
    if program is None:
        raise SystemExit("kwok is not installed: https://kwok.sigs.k8s.io; put it into PATH")
    core, config = client.CoreV1Api(), folder / "kwok.yaml"
    config.write_text(_STAGES)
    nodes = [f"{name}-{number}" for number in range(_NODES)]
    for node in nodes:
        metadata = {"name": node, "labels": {LABEL: name}, "annotations": {"kwok.x-k8s.io/node": "fake"}}
        taint = {"key": LABEL, "value": name, "effect": "NoSchedule"}
        core.create_node({"metadata": metadata, "spec": {"taints": [taint]}})
    with (folder / "kwok.log").open("wb") as log:
        command = [program, f"--config={config}", f"--manage-nodes-with-label-selector={LABEL}={name}"]
        process = subprocess.Popen([*command, "--node-lease-duration-seconds=40"], stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait(20)
            for node in nodes:
                core.delete_node(node)


class Writer:
    """Writes the documents of the stages in the namespace's pods, and then ends the pods.

    Attributes:
      made: The uids of the Jobs that were seen of each name.
    """

    def __init__(self, namespace: str, store: ObjectStore, stage_sec: float, train_sec: float, updates: int) -> None:
        self.made: dict[str, set[str]] = {}
        self._core, self._batch = client.CoreV1Api(), client.BatchV1Api()
        self._namespace, self._store = namespace, store
        self._stage_sec, self._train_sec, self._updates = stage_sec, train_sec, updates
        self._plan = resolve(TrainSpec(), REPORT.splits["train"].images, (320, 240))
        self._begun: set[str] = set()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._changed, self._serial = threading.Condition(), 0

    def start(self) -> None:
        for work in (self._work, self._watch_pods, self._watch_jobs):
            threading.Thread(target=work, daemon=True).start()

    def _watch_pods(self) -> None:
        for pod in events(self._core.list_namespaced_pod, self._namespace):
            uid = pod["metadata"]["uid"]
            if pod["spec"].get("nodeName") and uid not in self._begun:
                self._begun.add(uid)
                self._begin(pod)

    def _watch_jobs(self) -> None:
        for job in events(self._batch.list_namespaced_job, self._namespace):
            self.made.setdefault(job["metadata"]["name"], set()).add(job["metadata"]["uid"])

    def _begin(self, pod: dict[str, Any]) -> None:
        """Start a pod, and schedule the documents of its stage."""
        run, stage = (pod["metadata"]["labels"][f"slipway.dev/{label}"] for label in ("run", "stage"))
        lasts = self._train_sec if stage == "train" else self._stage_sec
        self._later(0, lambda: self._turn(pod, "Running", {"running": {"startedAt": _now()}}))
        for number in range(1, self._updates + 1) if stage == "train" else ():
            self._later(lasts * number / (self._updates + 1), lambda n=number: self._progress(run, n))
        self._later(lasts, lambda: self._end(pod, run, stage))

    def _turn(self, pod: dict[str, Any], phase: str, state: dict[str, Any]) -> None:
        """Write the pod's status as a kubelet does."""
        is_ready = phase == "Running"
        containers = [
            {
                "name": x["name"],
                "image": x["image"],
                "imageID": "",
                "restartCount": 0,
                "ready": is_ready,
                "state": state,
            }
            for x in pod["spec"]["containers"]
        ]
        ready = {"type": "Ready", "status": str(is_ready), "lastTransitionTime": _now()}
        status = {"phase": phase, "conditions": [ready], "containerStatuses": containers}
        self._core.patch_namespaced_pod_status(pod["metadata"]["name"], self._namespace, {"status": status})

    def _progress(self, run: str, number: int) -> None:
        steps = [self._plan.steps * n // (self._updates + 1) for n in range(1, number + 1)]
        self._store.write(keys.progress(run), _lines({"step": step, "loss": 1 / step} for step in steps))
        rows = [{"step": step, "split": "test", "metrics": {"AP": step / 2000, "AP50": step / 1500}} for step in steps]
        self._store.write(keys.metrics(run), _lines(rows))
        self._store.write(keys.best(run), json.dumps(BEST.content() | rows[-1]).encode())

    def _end(self, pod: dict[str, Any], run: str, stage: str) -> None:
        if stage == "ingest":
            self._store.write(keys.plan(run), self._plan.dump())
        result = {"dataset": DATASET} if stage == "ingest" else {"duration_sec": 1.0}
        self._store.write(keys.result(run, stage), json.dumps(result).encode())
        ended = {"exitCode": 0, "reason": "Completed", "startedAt": _now(), "finishedAt": _now()}
        self._turn(pod, "Succeeded", {"terminated": ended})

    def _later(self, delay_sec: float, action: Callable[[], None]) -> None:
        with self._changed:
            self._serial += 1
            heapq.heappush(self._due, (time.monotonic() + delay_sec, self._serial, action))
            self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._due or self._due[0][0] > time.monotonic():
                    self._changed.wait(self._due[0][0] - time.monotonic() if self._due else None)
                action = heapq.heappop(self._due)[2]
            try:
                action()
            except (ApiException, HTTPError):  # the API server is away for a moment
                self._later(1, action)


def events(listing: Callable[..., Any], *where: str) -> Iterator[dict[str, Any]]:
    """Yield the objects, and then their changes, even if the API server does not answer for a moment."""
    while True:
        try:
            for event in watch.Watch().stream(listing, *where):
                yield event["raw_object"]
        except (ApiException, HTTPError):
            time.sleep(1)


def _lines(rows: Any) -> bytes:
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
