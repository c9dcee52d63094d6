"""An installation in the cluster of kubectl's current context: runs, pods and store, for the tests and the faults."""

import json
import os
import re
import socket
import subprocess
import threading
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from slipway.store.from_url import open_store
from slipway.store.interface import ObjectStore
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
NAMESPACE = "slipway"
UPLOADS = "s3://slipway/uploads"
FINAL = ("SUCCEEDED", "FAILED", "CANCELED")
_AWAY_SEC = 120.0
_IS_AWAY = re.compile(r"refused|connection|EOF|timeout|timed out|unable to handle|etcdserver|apiserver not ready", re.I)
_one_store = threading.Lock()  # its address and keys are the process's own environment


def kubectl(*words: str, content: str | None = None, check: bool = True) -> str:
    """Run kubectl in the installation's namespace and return its output; wait while the API server does not answer.

    Raises:
      RuntimeError: kubectl failed, and `check` is set.
    """
    command, deadline = ["kubectl", "--namespace", NAMESPACE, *words], time.monotonic() + _AWAY_SEC
    while True:
        result = subprocess.run(command, input=content, capture_output=True, text=True, check=False)
        if not (result.returncode and _IS_AWAY.search(result.stderr)) or time.monotonic() > deadline:
            break
        time.sleep(0.5)
    if check and result.returncode:
        raise RuntimeError(f"kubectl {' '.join(words)}: {result.stderr.strip()}")
    return result.stdout


def get(*words: str) -> Any:
    """Return the parsed output of `kubectl get … --output json`; {} for an object that does not exist."""
    return json.loads(kubectl("get", *words, "--output", "json", check=False) or "{}")


def install(registry: str, tag: str) -> None:
    """Apply the dev overlay with the images of that registry and tag, and wait until it is ready.

    Adds the pool `tiny`, in which TensorFlow has too little memory.
    """
    text = kubectl("kustomize", str(ROOT / "manifests/overlays/dev"))
    manifests = list(yaml.safe_load_all(re.sub(r"localhost/(slipway-\w+):dev", rf"{registry}/\1:{tag}", text)))
    for manifest in manifests:
        if "settings.yaml" in manifest.get("data", {}):
            settings = yaml.safe_load(manifest["data"]["settings.yaml"])
            settings["pools"]["tiny"] = {"resources": {"limits": {"memory": "400Mi"}}}
            manifest["data"]["settings.yaml"] = yaml.safe_dump(settings)
    kubectl("apply", "--filename", "-", content=yaml.safe_dump_all(manifests))
    kubectl("rollout", "restart", "deployment/slipway-controller")  # its settings may have changed under the same name
    for name in ("slipway-s3", "slipway-controller"):
        kubectl("rollout", "status", f"deployment/{name}", "--timeout", "180s")


@contextmanager
def store(url: str = "s3://slipway") -> Iterator[ObjectStore]:
    """Open the installation's store through a forwarded port, for one thread at a time."""
    with _one_store, _forwarded() as port:
        yield open_with(get("secret", "slipway-s3"), f"http://127.0.0.1:{port}", url)


def open_with(secret: dict[str, Any], address: str, url: str = "s3://slipway") -> ObjectStore:
    """Open the store at an address with the keys in the Secret."""
    os.environ.update({name: b64decode(value).decode() for name, value in secret["data"].items()})
    os.environ["SLIPWAY_S3_ENDPOINT"] = address
    return open_store(url)


@contextmanager
def _forwarded() -> Iterator[int]:
    port = free_port()
    command = ["kubectl", "--namespace", NAMESPACE, "port-forward", "service/slipway-s3", f"{port}:7070"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        await_port(port)
        yield port
    finally:
        process.terminate()
        process.wait()


def apply_run(name: str, spec: dict[str, Any]) -> None:
    """Submit a run as a user does."""
    run = {"apiVersion": "slipway.dev/v1alpha1", "kind": "TrainingRun", "metadata": {"name": name}, "spec": spec}
    kubectl("apply", "--filename", "-", content=json.dumps(run))


def change(name: str, **spec: Any) -> None:
    """Change fields of a run's spec."""
    kubectl("patch", "trun", name, "--type", "merge", "--patch", json.dumps({"spec": spec}))


def status(name: str) -> dict[str, Any]:
    run_status: dict[str, Any] = get("trun", name).get("status", {})
    return run_status


def await_state(name: str, *states: str, timeout_sec: float) -> dict[str, Any]:
    """Wait until the run is in one of the states, or has ended in another, and return its status.

    Raises:
      TimeoutError: It is in none of them after `timeout_sec`; the message has its status.
    """
    deadline = time.monotonic() + timeout_sec
    while (run_status := status(name)).get("state") not in (*states, *FINAL):
        if time.monotonic() > deadline:
            raise TimeoutError(
                f"{name} is not {' or '.join(states)} after {timeout_sec:.0f} s: {json.dumps(run_status)}"
            )
        time.sleep(1)
    return run_status


def await_reason(name: str, beginning: str, timeout_sec: float) -> None:
    """Wait until the reason in the run's status has this beginning.

    Raises:
      TimeoutError: It has another one after `timeout_sec`; the message has the status.
    """
    deadline = time.monotonic() + timeout_sec
    while not (run_status := status(name)).get("reason", "").startswith(beginning):
        if time.monotonic() > deadline:
            raise TimeoutError(
                f"{name} has no reason {beginning!r} after {timeout_sec:.0f} s: {json.dumps(run_status)}"
            )
        time.sleep(0.2)


def await_gone(kind: str, selector: str, timeout_sec: float) -> float:
    """Wait until no object of that kind has the label, and return the seconds that it took."""
    start = time.monotonic()
    while get(kind, "--selector", selector).get("items", [True]):
        if time.monotonic() - start > timeout_sec:
            raise TimeoutError(f"{kind} with {selector} still exist after {timeout_sec:.0f} s")
        time.sleep(0.5)
    return time.monotonic() - start


def pods(run: str, stage: str) -> list[dict[str, Any]]:
    """Return the pods of one stage of a run, oldest first."""
    stage_pods = get("pods", "--selector", f"slipway.dev/run={run},slipway.dev/stage={stage}").get("items", [])
    return sorted(stage_pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))


def await_port(port: int) -> None:
    """Wait until a process listens on the port of this machine."""
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
