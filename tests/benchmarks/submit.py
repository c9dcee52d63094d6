"""A benchmark of the API with many submissions: `python -m tests.benchmarks.submit`.

Uses kubectl's current context, whose user must be allowed to create namespaces and TrainingRuns; the custom resource
must exist.
The API is the real one, a process of this machine, and so is the client: both share its processors. Every run is
suspended, so nothing is trained; all runs are deleted at the end. Times are from the moment a request was due until its
answer, so that a server cannot hide that it falls behind.
"""

import argparse
import hashlib
import http.client
import json
import os
import secrets
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from kubernetes import client, config

from slipway.kube.names import GROUP, PLURAL, VERSION

_PORT, _METRICS_PORT = 18000, 18090
_START_SEC = 30.0
_SUBMITS, _KEYS = 1000, 500
_THREADS = 64  # of the client, at a fixed rate
_BODY = json.dumps({"spec": {"dataset": {"source": "s3://photos/ponds"}, "suspend": True}})

Answer = tuple[int, float]  # status, seconds


@dataclass(frozen=True)
class Figures:
    """The figures of one measurement; times in seconds, one per request."""

    name: str
    times: list[float]
    codes: Counter[int]

    def row(self) -> str:
        ordered = sorted(self.times)
        p50, p99 = (ordered[int(len(ordered) * share)] * 1000 for share in (0.50, 0.99))
        codes = ", ".join(f"{count} × {code}" for code, count in sorted(self.codes.items()))
        return f"| {self.name} | {len(ordered)} | {p50:.0f} | {p99:.0f} | {ordered[-1] * 1000:.0f} | {codes} |"


class Api:
    """The API over HTTP, with a connection for each thread."""

    def __init__(self, token: str) -> None:
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._own = threading.local()

    def submit(self, key: str, due: float) -> Answer:
        """Submit at the moment it is due."""
        time.sleep(max(0.0, due - time.monotonic()))
        return self._ask("POST", key, due)

    def first_page(self) -> Answer:
        return self._ask("GET", "", time.monotonic())

    def _ask(self, method: str, key: str, due: float) -> Answer:
        if not hasattr(self._own, "connection"):
            self._own.connection = http.client.HTTPConnection("127.0.0.1", _PORT)
        headers = self._headers | ({"Idempotency-Key": key} if key else {})
        self._own.connection.request(method, "/v1/runs", _BODY if key else None, headers)
        answer = self._own.connection.getresponse()
        answer.read()
        return answer.status, time.monotonic() - due


def burst(api: Api) -> Figures:
    """Submit everything at once, each key twice; every submission has a connection of its own."""
    keys = [f"burst-{number % _KEYS}" for number in range(_SUBMITS)]
    all_there = threading.Barrier(_SUBMITS)

    def submit(key: str) -> Answer:
        all_there.wait()
        return api.submit(key, time.monotonic())

    with ThreadPoolExecutor(_SUBMITS) as pool:
        return _figures(f"{_SUBMITS} at once, {_KEYS} keys", list(pool.map(submit, keys)))


def steady(api: Api, rate: int, seconds: int) -> Figures:
    """Submit at a fixed rate, each time with another key."""
    began = time.monotonic()
    due = [began + number / rate for number in range(rate * seconds)]
    with ThreadPoolExecutor(_THREADS) as pool:
        answers = list(pool.map(api.submit, (f"steady-{number}" for number in range(len(due))), due))
    return _figures(f"{rate} a second for {seconds} s", answers)


def lists(api: Api, runs: int) -> Figures:
    """Get the first page repeatedly."""
    return _figures(f"first page of {runs} runs", [api.first_page() for _ in range(200)])


def _figures(name: str, answers: list[Answer]) -> Figures:
    return Figures(name, [seconds for _, seconds in answers], Counter(code for code, _ in answers))


def measure(token: str, namespace: str, options: argparse.Namespace) -> list[Figures]:
    """Take all measurements.

    Raises:
      SystemExit: There are more or fewer runs than keys.
    """
    api = Api(token)
    found = [burst(api)]
    made = len(_runs(namespace))
    if made != _KEYS:
        raise SystemExit(f"{_SUBMITS} submissions with {_KEYS} keys made {made} runs")
    found.append(steady(api, options.rate, options.seconds))
    return [*found, lists(api, len(_runs(namespace)))]


@contextmanager
def _api(namespace: str, folder: Path) -> Iterator[str]:
    """Run the API; yield a token that may submit."""
    token = secrets.token_urlsafe(32)
    digest = hashlib.sha256(token.encode()).hexdigest()
    (folder / "tokens.yaml").write_text(yaml.safe_dump([{"name": "bench", "role": "submitter", "sha256": digest}]))
    settings = {"tokens": str(folder / "tokens.yaml"), "limits": {"requestsPerSecond": 1e6, "burst": 1_000_000}}
    (folder / "api.yaml").write_text(yaml.safe_dump(settings))
    ports = ["--host", "127.0.0.1", "--port", str(_PORT), "--metrics-port", str(_METRICS_PORT)]
    files = ["--settings", str(folder / "api.yaml"), "--store", str(folder / "store"), "--namespace", namespace]
    with (folder / "api.log").open("w") as log:
        command = [sys.executable, "-m", "services.api", *ports, *files]
        process = subprocess.Popen(command, stderr=log, env=os.environ | {"PYTHONPATH": ".:shared"})
    try:
        _await_ready(process, folder / "api.log")
        yield token
    finally:
        process.terminate()
        process.wait(30)


def _await_ready(process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _START_SEC
    while process.poll() is None and time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{_PORT}/readyz"):
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise SystemExit(f"the API is not ready: {log.read_text()}")


@contextmanager
def _namespace(given: str | None) -> Iterator[str]:
    """Yield a new namespace, or the given one, and delete its runs at the end."""
    if given:
        yield given
        for run in _runs(given):
            client.CustomObjectsApi().delete_namespaced_custom_object(GROUP, VERSION, given, PLURAL, run)
        return
    name = f"slipway-bench-{uuid.uuid4().hex[:6]}"
    client.CoreV1Api().create_namespace({"metadata": {"name": name}})
    try:
        yield name
    finally:
        client.CoreV1Api().delete_namespace(name)


def _runs(namespace: str) -> list[str]:
    found = client.CustomObjectsApi().list_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL)
    return [run["metadata"]["name"] for run in found["items"]]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.submit")
    parser.add_argument("--rate", type=int, default=50, help="submissions a second")
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--namespace", help="an existing one without runs; by default a new one")
    options = parser.parse_args()
    config.load_kube_config()
    with (
        tempfile.TemporaryDirectory() as folder,
        _namespace(options.namespace) as namespace,
        _api(namespace, Path(folder)) as token,
    ):
        found = measure(token, namespace, options)
    print("| submissions | requests | p50, ms | p99, ms | longest, ms | answers |\n|---|---|---|---|---|---|")
    print("\n".join(figures.row() for figures in found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
