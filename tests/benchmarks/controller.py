"""A benchmark of the controller with many runs at once: `python -m tests.benchmarks.controller --runs 200 2000`.

Uses kubectl's current context, whose user must be allowed to create namespaces, nodes and the custom resource. The
controller is the real one, a process of this machine. The nodes are kwok's, which must be on PATH; this program plays
the pods and writes the documents of the stages. It deletes everything that it creates except the custom resource.
"""

import argparse
import os
import re
import signal
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
from kubernetes.client.exceptions import ApiException

from slipway.kube.names import GROUP, PLURAL, VERSION
from slipway.store.from_url import open_store
from tests.benchmarks.fake_pods import LABEL, Writer, events, fake_nodes

from services.controller.install.crd import crd

_PORT = 18081
_POLL_SEC = 1.0
_SEEN = re.compile(r"^slipway_controller_api_requests_total\{(.*)\} (\S+)$", re.MULTILINE)
_RUN = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "TrainingRun", "spec": {"dataset": {"source": "s3://photos/ponds"}}}


@dataclass(frozen=True)
class Figures:
    """The figures of one measurement.

    Attributes:
      seconds: Time from the first run's submission until the last has succeeded.
      requests: Number of the controller's requests to the API server, by verb and resource.
      peak_mb: The controller's resident memory at its highest, in 10⁶ bytes.
    """

    runs: int
    seconds: float
    requests: Counter[str]
    peak_mb: float

    def row(self) -> str:
        a_run = [self.seconds / self.runs, self.requests.total() / self.runs]
        return f"| {self.runs} | {self.seconds:.0f} | {a_run[0]:.2f} | {a_run[1]:.1f} | {self.peak_mb:.0f} |"


def measure(runs: int, options: argparse.Namespace) -> Figures:
    """Submit that number of runs at once, and wait until all have succeeded.

    Raises:
      SystemExit: A run did not succeed, a Job was created twice, or the controller ended.
    """
    name = f"slipway-bench-{uuid.uuid4().hex[:6]}"
    with tempfile.TemporaryDirectory() as temporary, _namespace(name):
        folder = Path(temporary)
        store = (options.store and f"{options.store}/{name}") or str(folder / "store")
        writer = Writer(name, open_store(store), options.stage_sec, options.train_sec, options.updates)
        writer.start()
        with fake_nodes(name, folder), _controller(name, store, folder) as process:
            progress = Progress(name)
            started = time.monotonic()
            _submit(name, runs)
            progress.wait(runs, process)
            seconds = time.monotonic() - started
            progress.wait(runs, process, settled=True)
            figures = Figures(runs, seconds, _requests(), _peak_mb(process.pid))
            sys.stderr.write(f"{figures.row()}\n")
            _check(name, writer, runs)
    return figures


class Progress:
    """The states of the runs, from a watch, since lists of all runs would cost more than the controller's own work."""

    def __init__(self, namespace: str) -> None:
        self._namespace, self._status = namespace, dict[str, dict]()
        threading.Thread(target=self._watch, daemon=True).start()

    def wait(self, runs: int, process: subprocess.Popen[bytes], settled: bool = False) -> None:
        """Wait until all have succeeded, and the controller has nothing more to do for them.

        Raises:
          SystemExit: One has failed, or the controller has ended.
        """
        done = 0
        while done < runs:
            time.sleep(_POLL_SEC)
            if process.poll() is not None:
                raise SystemExit(f"the controller ended with code {process.returncode}")
            found = list(self._status.values())
            states = Counter(status.get("state", "PENDING") for status in found)
            if states["FAILED"]:
                reasons = Counter(status.get("reason") for status in found if status.get("state") == "FAILED")
                raise SystemExit(f"runs failed: {reasons.most_common(3)}")
            done = sum(status.get("settled", 0) for status in found) if settled else states["SUCCEEDED"]
            if sys.stderr.isatty():
                sys.stderr.write(f"\r{dict(states)}\x1b[K")

    def _watch(self) -> None:
        listing = client.CustomObjectsApi().list_namespaced_custom_object
        for run in events(listing, GROUP, VERSION, self._namespace, PLURAL):
            self._status[run["metadata"]["name"]] = run.get("status", {})


@contextmanager
def _namespace(name: str) -> Iterator[None]:
    core = client.CoreV1Api()
    core.create_namespace({"metadata": {"name": name}})
    try:
        yield
    finally:
        core.delete_namespace(name)
        core.delete_collection_namespaced_pod(name, grace_period_seconds=0)  # no kubelet confirms their end


@contextmanager
def _controller(name: str, store: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the controller until the end of the block; its pods go to the fake nodes."""
    place = {
        "nodeSelector": {LABEL: name},
        "tolerations": [{"key": LABEL, "operator": "Equal", "value": name, "effect": "NoSchedule"}],
    }
    settings = {"store": {"url": store, "secret": "none"}, "images": {"data": "fake", "tf": "fake"}}
    file = folder / "settings.yaml"
    file.write_text(yaml.safe_dump(settings | {"pools": {"cpu": place}}))
    ports = [f"--metrics-port={_PORT}", f"--health-port={_PORT + 1}"]
    command = [sys.executable, "-m", "services.controller", f"--namespace={name}", f"--settings={file}", *ports]
    with (folder / "controller.log").open("wb") as log:
        process = subprocess.Popen(command, stderr=log, env=os.environ | {"PYTHONUNBUFFERED": "1"})
        try:
            yield process
        finally:
            process.terminate()
            process.wait(20)
            sys.stderr.write(_complaints(folder / "controller.log"))


def _submit(namespace: str, runs: int) -> None:
    custom = client.CustomObjectsApi()

    def one(number: int) -> None:
        body = _RUN | {"metadata": {"name": f"run-{number:04d}"}}
        custom.create_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, body)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, range(runs)))


def _requests() -> Counter[str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{_PORT}/metrics") as answer:
        text = answer.read().decode()
    return Counter({labels: int(float(count)) for labels, count in _SEEN.findall(text)})


def _peak_mb(pid: int) -> float:
    (line,) = (x for x in Path(f"/proc/{pid}/status").read_text().splitlines() if x.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e6


def _check(namespace: str, writer: Writer, runs: int) -> None:
    """Check that each Job was created, and only once. Raises `SystemExit`."""
    batch, after = client.BatchV1Api(), None
    while after != "":
        page = batch.list_namespaced_job(namespace, limit=500, _continue=after)
        after = page.metadata._continue or ""
        for job in page.items:
            writer.made.setdefault(job.metadata.name, set()).add(job.metadata.uid)
    twice = [name for name, uids in writer.made.items() if len(uids) != 1]
    if twice or len(writer.made) != 5 * runs:
        raise SystemExit(f"{len(writer.made)} Jobs instead of {5 * runs}; made twice: {twice[:5]}")


def _complaints(log: Path) -> str:
    """Return the last warnings of the controller."""
    lines = [line for line in log.read_text().splitlines(keepends=True) if " INFO " not in line]
    return "".join(lines[-20:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, nargs="+", default=[200, 2000])
    parser.add_argument("--store", help="s3://bucket/prefix; a temporary folder by default")
    parser.add_argument("--stage-sec", type=float, default=2.0, help="duration of each stage but train")
    parser.add_argument("--train-sec", type=float, default=40.0)
    parser.add_argument("--updates", type=int, default=8, help="number of times that a training writes its progress")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and delete everything
    config.load_kube_config()
    _install_crd()
    measured = [measure(runs, options) for runs in options.runs]
    print("| runs | seconds | seconds a run | requests a run | peak MB |\n|---|---|---|---|---|")
    for figures in measured:
        print(figures.row())
    for figures in measured:
        print(figures.runs, ", ".join(f"{labels}: {count}" for labels, count in figures.requests.most_common()))


def _install_crd() -> None:
    api, wanted = client.ApiextensionsV1Api(), crd()
    try:
        api.create_custom_resource_definition(wanted)
        time.sleep(3)  # until the server knows it
    except ApiException as error:
        if error.status != 409:
            raise


if __name__ == "__main__":
    main()
