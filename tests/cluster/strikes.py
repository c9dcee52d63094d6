"""The faults that are injected into a run."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.cluster import installation as at

EVERY = 20  # steps between checkpoints

TRAINING: dict[str, Any] = {
    "dataset": {"source": f"{at.UPLOADS}/faults"},
    "train": {"steps": 60, "checkpointEvery": EVERY, "imageSize": 128, "batchSize": 4},
    "export": {"tflite": False},
    "detect": {"maxImages": 4},
}
TO_TRAIN = TRAINING | {"until": "train"}  # the later stages would only take time


@dataclass(frozen=True)
class Commands:
    """Commands for faults that the API server cannot inject.

    Attributes:
      kill: Precedes a container's id, and sends its first process SIGKILL.
      restart_api: Kills the API server and starts it again.
    """

    kill: str
    restart_api: str


@dataclass(frozen=True)
class Fault:
    """A fault and its runs.

    Attributes:
      spec: Spec of its runs; without one, a run has many images and ends with preprocess.
      timed: The stage during whose pod the fault is injected; without one, it is injected at any time of the run.
      needs: Name of the command without which it cannot be injected.
      prepare: Called before each run.
    """

    name: str
    spec: dict[str, Any] | None
    timed: str | None
    strike: Callable[[str, Commands], None]
    needs: str | None = None
    prepare: Callable[[], None] | None = None


def _kill(pod: dict[str, Any], container: str, commands: Commands) -> None:
    states = pod["status"].get("containerStatuses", []) + pod["status"].get("initContainerStatuses", [])
    (name,) = (s["containerID"].split("//")[1] for s in states if s["name"] == container and "running" in s["state"])
    subprocess.run([*commands.kill.split(), name], check=True, capture_output=True)


def _of(component: str) -> dict[str, Any]:
    selector = f"app.kubernetes.io/component={component}"
    (pod,) = at.get("pods", "--selector", selector, "--field-selector", "status.phase=Running")["items"]
    return dict(pod)


def _renew_controller() -> None:
    """Replace the controller's pod: the kubelet waits longer each time before it restarts a killed container."""
    at.kubectl("rollout", "restart", "deployment/slipway-controller")
    at.kubectl("rollout", "status", "deployment/slipway-controller", "--timeout", "120s")


def _kill_controller(_run: str, commands: Commands) -> None:
    _kill(_of("controller"), "controller", commands)


def _kill_trainer(run: str, commands: Commands) -> None:
    _kill(at.pods(run, "train")[-1], "trainer", commands)


def _kill_evaluator(run: str, commands: Commands) -> None:
    _kill(at.pods(run, "train")[-1], "evaluator", commands)


def _delete_trainer(run: str, _commands: Commands) -> None:
    at.kubectl("delete", "pod", at.pods(run, "train")[-1]["metadata"]["name"], "--wait=false")


def _delete_preprocess(run: str, _commands: Commands) -> None:
    running = [pod for pod in at.pods(run, "preprocess") if _runs(pod)]
    at.kubectl("delete", "pod", running[0]["metadata"]["name"], "--wait=false")


def _evict_trainer(run: str, _commands: Commands) -> None:
    name = at.pods(run, "train")[-1]["metadata"]["name"]
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": at.NAMESPACE}}
    path = f"/api/v1/namespaces/{at.NAMESPACE}/pods/{name}/eviction"
    at.kubectl("create", "--raw", path, "--filename", "-", content=json.dumps(eviction))


def _restart_s3(_run: str, _commands: Commands) -> None:
    at.kubectl("delete", "pod", _of("s3")["metadata"]["name"], "--wait=false")


def _restart_api(_run: str, commands: Commands) -> None:
    subprocess.run(["sh", "-c", commands.restart_api], check=True, capture_output=True)


FAULTS = (
    Fault("kill controller", TRAINING, None, _kill_controller, "kill", _renew_controller),
    Fault("kill trainer", TO_TRAIN, "train", _kill_trainer, "kill"),
    Fault("kill evaluator", TO_TRAIN, "train", _kill_evaluator, "kill"),
    Fault("delete trainer's pod", TO_TRAIN, "train", _delete_trainer),
    Fault("delete preprocess pod", None, "preprocess", _delete_preprocess),
    Fault("evict trainer", TO_TRAIN, "train", _evict_trainer),
    Fault("restart S3 server", TRAINING, None, _restart_s3),
    Fault("restart API server", TRAINING, None, _restart_api, "restart_api"),
)


def is_running(name: str, stage: str) -> bool:
    return any(map(_runs, at.pods(name, stage)))


def _runs(pod: dict[str, Any]) -> bool:
    return any("running" in state["state"] for state in pod["status"].get("containerStatuses", []))
