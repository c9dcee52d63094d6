"""An installation in the cluster that kubectl's current context names, as the tests and the fault player use it."""

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
    """Run kubectl in the installation's namespace and return what it prints; an API server that is away is waited for.

    Raises:
      RuntimeError: The answer is no, and `check` is set.
    """
    command, patience = ["kubectl", "--namespace", NAMESPACE, *words], time.monotonic() + _AWAY_SEC
    while True:
        done = subprocess.run(command, input=content, capture_output=True, text=True, check=False)
        if not (done.returncode and _IS_AWAY.search(done.stderr)) or time.monotonic() > patience:
            break
        time.sleep(0.5)
    if check and done.returncode:
        raise RuntimeError(f"kubectl {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def get(*words: str) -> Any:
    """Return what `kubectl get … --output json` prints; {} when the object is not there."""
    return json.loads(kubectl("get", *words, "--output", "json", check=False) or "{}")


def install(registry: str, tag: str) -> None:
    """Apply the dev overlay with the images of that registry and tag, and wait until it stands.

    It gets a pool more, `tiny`, in which TensorFlow has too little memory.
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
    """Reach the installation's store through a port of its own, one thread at a time."""
    with _one_store, _forwarded() as port:
        yield open_with(get("secret", "slipway-s3"), f"http://127.0.0.1:{port}", url)


def open_with(secret: dict[str, Any], address: str, url: str = "s3://slipway") -> ObjectStore:
    """Open the store at an address with the keys that are in the Secret."""
    os.environ.update({name: b64decode(value).decode() for name, value in secret["data"].items()})
    os.environ["SLIPWAY_S3_ENDPOINT"] = address
    return open_store(url)


@contextmanager
def _forwarded() -> Iterator[int]:
    port = free_port()
    command = ["kubectl", "--namespace", NAMESPACE, "port-forward", "service/slipway-s3", f"{port}:7070"]
    forward = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        await_port(port)
        yield port
    finally:
        forward.terminate()
        forward.wait()


def apply_run(name: str, spec: dict[str, Any]) -> None:
    """Submit a run as a user does."""
    run = {"apiVersion": "slipway.dev/v1alpha1", "kind": "TrainingRun", "metadata": {"name": name}, "spec": spec}
    kubectl("apply", "--filename", "-", content=json.dumps(run))


def change(name: str, **spec: Any) -> None:
    """Change what may change of a run's spec."""
    kubectl("patch", "trun", name, "--type", "merge", "--patch", json.dumps({"spec": spec}))


def status(name: str) -> dict[str, Any]:
    found: dict[str, Any] = get("trun", name).get("status", {})
    return found


def await_state(name: str, *states: str, timeout_sec: float) -> dict[str, Any]:
    """Wait until the run is in one of the states, or has ended in another, and return its status.

    Raises:
      TimeoutError: It is in none of them after so long; says how the run stands.
    """
    patience = time.monotonic() + timeout_sec
    while (found := status(name)).get("state") not in (*states, *FINAL):
        if time.monotonic() > patience:
            raise TimeoutError(f"{name} is not {' or '.join(states)} after {timeout_sec:.0f} s: {json.dumps(found)}")
        time.sleep(1)
    return found


def await_reason(name: str, words: str, timeout_sec: float) -> None:
    """Wait until the run says that it waits for something; it begins with the words.

    Raises:
      TimeoutError: It does not after so long; says how the run stands.
    """
    patience = time.monotonic() + timeout_sec
    while not (found := status(name)).get("reason", "").startswith(words):
        if time.monotonic() > patience:
            raise TimeoutError(f"{name} says not {words!r} after {timeout_sec:.0f} s: {json.dumps(found)}")
        time.sleep(0.2)


def await_gone(kind: str, selector: str, timeout_sec: float) -> float:
    """Wait until no object of that kind bears the label, and return the seconds it took."""
    started = time.monotonic()
    while get(kind, "--selector", selector).get("items", [True]):
        if time.monotonic() - started > timeout_sec:
            raise TimeoutError(f"{kind} with {selector} are there after {timeout_sec:.0f} s")
        time.sleep(0.5)
    return time.monotonic() - started


def pods(run: str, stage: str) -> list[dict[str, Any]]:
    """Return the pods of one stage of a run, the oldest first."""
    found = get("pods", "--selector", f"slipway.dev/run={run},slipway.dev/stage={stage}").get("items", [])
    return sorted(found, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))


def await_port(port: int) -> None:
    """Wait until something listens there."""
    patience = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > patience:
                raise
            time.sleep(0.1)
