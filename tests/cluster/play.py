"""One try: a run, a fault at its moment, and what came of it."""

import json
import tempfile
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from slipway.store.interface import delete_all, upload_all
from tests.cluster import installation as at
from tests.cluster.strikes import Commands, Fault, is_running
from tests.fakes.harbour import draw

_TIMEOUT_SEC = 600.0
_ORPHAN_SEC = 300.0  # the garbage collector has to find an API server that was away, too
_MANY = 12_000  # images: what keeps two preprocess pods busy for 20 s


@dataclass
class Observer:
    """Sees, every two seconds, which Jobs there are and what the trainers say, until it is told to stop."""

    run: str
    jobs: dict[str, set[str]] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)
    _ended: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Observer":
        self._thread = threading.Thread(target=self._look_often)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def duplicates(self) -> int:
        """Jobs that were made although their run, stage and attempt had one."""
        return sum(len(uids) - 1 for uids in self.jobs.values())

    def look(self) -> None:
        for job in at.get("jobs", "--selector", f"slipway.dev/run={self.run}").get("items", []):
            labels = job["metadata"]["labels"]
            unit = f"{labels['slipway.dev/stage']}-{labels['slipway.dev/attempt']}"
            self.jobs.setdefault(unit, set()).add(job["metadata"]["uid"])
        for pod in at.pods(self.run, "train"):
            name = pod["metadata"]["name"]
            said = at.kubectl("logs", name, "--container", "trainer", check=False)
            self.said[name] = max(said, self.said.get(name, ""), key=len)

    def _look_often(self) -> None:
        while not self._ended.wait(2):
            self.look()


def play(fault: Fault, spec: dict[str, Any], delay_sec: float, name: str, commands: Commands) -> dict[str, Any]:
    """Play one try and return what came of it.

    Args:
      delay_sec: How long after the start of the pod, or of the run, the fault is played.
    """
    _delete(name)  # an interrupted game may have left it
    at.await_gone("pods", f"slipway.dev/run={name}", _ORPHAN_SEC)
    tidy(name)
    at.apply_run(name, spec)
    started = time.monotonic()
    with Observer(name) as observer:
        has_struck = _strike(fault, name, delay_sec, commands)
        ended = at.await_state(name, timeout_sec=_TIMEOUT_SEC)
        observer.look()
    seconds = time.monotonic() - started
    orphans = _delete(name)
    return {
        "state": ended["state"],
        "reason": ended.get("reason"),
        "struck": has_struck,
        "seconds": round(seconds, 1),
        "duplicates": observer.duplicates,
        "orphans": orphans,
        "steps_lost": steps_lost(list(observer.said.values())),
    }


def _strike(fault: Fault, name: str, delay_sec: float, commands: Commands) -> bool:
    """Play the fault at its moment; say no when the pod had ended by then."""
    if fault.timed:
        _await_pod(name, fault.timed)
    time.sleep(delay_sec)
    if fault.timed and not is_running(name, fault.timed):
        return False
    if not fault.timed and at.status(name).get("state") in at.FINAL:
        return False
    try:
        fault.strike(name, commands)
    except (ValueError, IndexError):  # it ended in this very moment
        return False
    return True


def _await_pod(name: str, stage: str) -> None:
    patience = time.monotonic() + _TIMEOUT_SEC
    while not is_running(name, stage):
        if time.monotonic() > patience:
            raise TimeoutError(f"{name}: no running pod of {stage} after {_TIMEOUT_SEC:.0f} s")
        time.sleep(0.2)


def _delete(name: str) -> int:
    """Delete the run, and return how many of its Jobs outlive it."""
    at.kubectl("delete", "trun", name, "--ignore-not-found")
    try:
        at.await_gone("jobs", f"slipway.dev/run={name}", _ORPHAN_SEC)
    except TimeoutError:
        return len(at.get("jobs", "--selector", f"slipway.dev/run={name}")["items"])
    return 0


def steps_lost(logs: list[str]) -> list[int]:
    """Return for each trainer that was followed by another how many of its logged steps had to be done again."""
    lost = []
    for before, after in pairwise(logs):
        reached = max((event["step"] for event in _events(before) if "step" in event), default=0)
        resumed = next((event["step"] for event in _events(after) if event["event"] == "training_resumed"), 0)
        if any(event["event"] == "step" for event in _events(after)) or resumed:
            lost.append(max(reached - resumed, 0))
    return lost


def _events(log: str) -> list[dict[str, Any]]:
    lines = (line for line in log.splitlines() if line.startswith("{") and line.endswith("}"))
    return [event for event in map(json.loads, lines) if "event" in event]


def measure(spec: dict[str, Any], name: str) -> dict[str, Any]:
    """Run it without a fault.

    Returns:
      `dataset`, as a later run refers to it; `seconds` that the pods of each stage ran, and under "" those of the run.
    """
    at.apply_run(name, spec)
    started = time.monotonic()
    ended = at.await_state(name, timeout_sec=_TIMEOUT_SEC)
    if ended["state"] != "SUCCEEDED":
        raise RuntimeError(f"{name} ended {ended['state']} without a fault: {ended.get('reason')}")
    took = {"": time.monotonic() - started}
    for stage in ("preprocess", "train"):
        for pod in at.pods(name, stage)[:1]:
            ran = pod["status"]["containerStatuses"][0]["state"]["terminated"]
            begun, over = (datetime.fromisoformat(ran[key]) for key in ("startedAt", "finishedAt"))
            took[stage] = (over - begun).total_seconds()
    _delete(name)
    dataset = "@".join(ended["artifacts"]["dataset"].split("/")[1:])
    tidy(name, dataset if "train" not in took else None)
    return {"seconds": took, "dataset": dataset}


def upload() -> None:
    """Put the two drawn datasets into the store, unless they are there."""
    with at.store(at.UPLOADS) as store, tempfile.TemporaryDirectory() as folder:
        for name, images in (("faults", 60), ("many", _MANY)):
            if store.stat(f"{name}/.whole") is None:
                draw(Path(folder) / name, images, 5)
                upload_all(store, Path(folder) / name, name)
                store.write(f"{name}/.whole", b"")


def tidy(name: str, dataset: str | None = None) -> None:
    """Drop what a run left in the store and, when a dataset is given, its records: the next run has to make them."""
    with at.store() as store:
        delete_all(store, f"runs/{name}")
        if dataset:
            delete_all(store, f"records/{dataset.split('@')[1]}")
