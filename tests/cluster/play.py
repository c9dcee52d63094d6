"""One try: a run, a fault at its moment, and the outcome."""

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
_ORPHAN_SEC = 300.0  # the garbage collector, too, has to reconnect to an API server that was away
_MANY = 12_000  # images, which keep two preprocess pods busy for 20 s


@dataclass
class Observer:
    """Reads the Jobs of a run and the logs of its trainers every two seconds.

    Attributes:
      jobs: The uids of the Jobs of each stage and attempt.
      logs: The longest log of each trainer's pod.
    """

    run: str
    jobs: dict[str, set[str]] = field(default_factory=dict)
    logs: dict[str, str] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Observer":
        self._thread = threading.Thread(target=self._look_often)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def duplicates(self) -> int:
        """Number of Jobs that were created although their stage and attempt had one."""
        return sum(len(uids) - 1 for uids in self.jobs.values())

    def look(self) -> None:
        for job in at.get("jobs", "--selector", f"slipway.dev/run={self.run}").get("items", []):
            labels = job["metadata"]["labels"]
            unit = f"{labels['slipway.dev/stage']}-{labels['slipway.dev/attempt']}"
            self.jobs.setdefault(unit, set()).add(job["metadata"]["uid"])
        for pod in at.pods(self.run, "train"):
            name = pod["metadata"]["name"]
            log = at.kubectl("logs", name, "--container", "trainer", check=False)
            self.logs[name] = max(log, self.logs.get(name, ""), key=len)

    def _look_often(self) -> None:
        while not self._stop.wait(2):
            self.look()


def play(fault: Fault, spec: dict[str, Any], delay_sec: float, name: str, commands: Commands) -> dict[str, Any]:
    """Play one try and return its outcome.

    Args:
      delay_sec: Time from the start of the pod, or of the run, to the fault.
    """
    _delete(name)  # an interrupted game leaves its run
    at.await_gone("pods", f"slipway.dev/run={name}", _ORPHAN_SEC)
    tidy(name)
    at.apply_run(name, spec)
    start = time.monotonic()
    with Observer(name) as observer:
        has_struck = _strike(fault, name, delay_sec, commands)
        status = at.await_state(name, timeout_sec=_TIMEOUT_SEC)
        observer.look()
    seconds = time.monotonic() - start
    orphans = _delete(name)
    return {
        "state": status["state"],
        "reason": status.get("reason"),
        "struck": has_struck,
        "seconds": round(seconds, 1),
        "duplicates": observer.duplicates,
        "orphans": orphans,
        "steps_lost": steps_lost(list(observer.logs.values())),
    }


def _strike(fault: Fault, name: str, delay_sec: float, commands: Commands) -> bool:
    """Play the fault at its moment; return False if the pod has ended by then."""
    if fault.timed:
        _await_pod(name, fault.timed)
    time.sleep(delay_sec)
    if fault.timed and not is_running(name, fault.timed):
        return False
    if not fault.timed and at.status(name).get("state") in at.FINAL:
        return False
    try:
        fault.strike(name, commands)
    except (ValueError, IndexError):  # the pod has just ended
        return False
    return True


def _await_pod(name: str, stage: str) -> None:
    deadline = time.monotonic() + _TIMEOUT_SEC
    while not is_running(name, stage):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{name}: no running pod of {stage} after {_TIMEOUT_SEC:.0f} s")
        time.sleep(0.2)


def _delete(name: str) -> int:
    """Delete the run, and return the number of its Jobs that outlive it."""
    at.kubectl("delete", "trun", name, "--ignore-not-found")
    try:
        at.await_gone("jobs", f"slipway.dev/run={name}", _ORPHAN_SEC)
    except TimeoutError:
        return len(at.get("jobs", "--selector", f"slipway.dev/run={name}")["items"])
    return 0


def steps_lost(logs: list[str]) -> list[int]:
    """Return, for each trainer that another one followed, the number of its logged steps that were repeated."""
    counts = []
    for log, next_log in pairwise(logs):
        last_step = max((event["step"] for event in _events(log) if "step" in event), default=0)
        first_step = next((event["step"] for event in _events(next_log) if event["event"] == "training_resumed"), 0)
        if any(event["event"] == "step" for event in _events(next_log)) or first_step:
            counts.append(max(last_step - first_step, 0))
    return counts


def _events(log: str) -> list[dict[str, Any]]:
    lines = (line for line in log.splitlines() if line.startswith("{") and line.endswith("}"))
    return [event for event in map(json.loads, lines) if "event" in event]


def measure(spec: dict[str, Any], name: str) -> dict[str, Any]:
    """Measure a run without a fault.

    Returns:
      `dataset`, as a later run refers to it; `seconds`, the time of each stage's pods, and of the whole run under "".
    """
    at.apply_run(name, spec)
    start = time.monotonic()
    status = at.await_state(name, timeout_sec=_TIMEOUT_SEC)
    if status["state"] != "SUCCEEDED":
        raise RuntimeError(f"{name} ended {status['state']} without a fault: {status.get('reason')}")
    seconds = {"": time.monotonic() - start}
    for stage in ("preprocess", "train"):
        for pod in at.pods(name, stage)[:1]:
            state = pod["status"]["containerStatuses"][0]["state"]["terminated"]
            start_time, end_time = (datetime.fromisoformat(state[key]) for key in ("startedAt", "finishedAt"))
            seconds[stage] = (end_time - start_time).total_seconds()
    _delete(name)
    dataset = "@".join(status["artifacts"]["dataset"].split("/")[1:])
    tidy(name, dataset if "train" not in seconds else None)
    return {"seconds": seconds, "dataset": dataset}


def upload() -> None:
    """Draw two datasets and upload them, unless the store has them."""
    with at.store(at.UPLOADS) as store, tempfile.TemporaryDirectory() as folder:
        for name, images in (("faults", 60), ("many", _MANY)):
            if store.stat(f"{name}/.whole") is None:
                draw(Path(folder) / name, images, 5)
                upload_all(store, Path(folder) / name, name)
                store.write(f"{name}/.whole", b"")


def tidy(name: str, dataset: str | None = None) -> None:
    """Delete a run from the store and, if a dataset is given, its records, so that the next run has to write them."""
    with at.store() as store:
        delete_all(store, f"runs/{name}")
        if dataset:
            delete_all(store, f"records/{dataset.split('@')[1]}")
