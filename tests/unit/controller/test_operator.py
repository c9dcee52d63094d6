"""The process as a whole, before an API server that knows two runs and a store that never answers."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import pytest
import yaml

from tests.ports import free_ports

from services.controller.operator import unsettled_runs

ROOT = Path(__file__).parents[3]
STATUS = {"state": "PENDING", "images": {"data": "data:1", "tf": "tf:1"}, "blueprints": "0ff1ce"}
RUNS = [
    {
        "apiVersion": "slipway.dev/v1alpha1",
        "kind": "TrainingRun",
        "metadata": {"name": name, "namespace": "lab", "uid": f"uid-{name}", "resourceVersion": "7"},
        "spec": {"dataset": {"source": "s3://photos/ponds"}},
        "status": STATUS,
    }
    for name in ("ponds", "lakes")
]
RESOURCES = {
    "/api/v1": [("pods", "Pod")],
    "/apis/batch/v1": [("jobs", "Job")],
    "/apis/slipway.dev/v1alpha1": [("trainingruns", "TrainingRun")],
}


class Answer(BaseHTTPRequestHandler):
    """Discovery, lists, single runs, and watches in which nothing happens."""

    def do_GET(self):
        url = urlsplit(self.path)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        if parse_qs(url.query).get("watch") == ["true"]:
            self.wfile.flush()
            self.server.ended.wait(30)
        else:
            self.wfile.write(json.dumps(self._found(url.path)).encode())

    def _found(self, path):
        if path == "/api":
            return {"versions": ["v1"]}
        if path == "/apis":
            return {"groups": [_group("batch", "v1"), _group("slipway.dev", "v1alpha1")]}
        if path in RESOURCES:
            common = {"singularName": "", "namespaced": True, "verbs": ["list", "watch"]}
            return {"resources": [{"name": name, "kind": kind} | common for name, kind in RESOURCES[path]]}
        items = RUNS if path.endswith("/trainingruns") else []
        single = next((run for run in RUNS if path.endswith(f"/{run['metadata']['name']}")), None)
        return single or {"items": items, "metadata": {"resourceVersion": "9"}}

    def log_message(self, *_):
        pass


def _group(name, version):
    there = {"groupVersion": f"{name}/{version}", "version": version}
    return {"name": name, "versions": [there], "preferredVersion": there}


@pytest.fixture
def api_server(tmp_path):
    """Serve, and write the kubeconfig that leads there."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    server.daemon_threads, server.ended = True, threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    cluster = {"server": f"http://127.0.0.1:{server.server_port}"}
    config = {
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(config))
    yield file
    server.ended.set()
    server.shutdown()
    server.server_close()


@contextmanager
def controller(kubeconfig, store, ports):
    settings = {"store": {"url": str(store), "secret": "s3"}, "images": {"data": "data:1", "tf": "tf:1"}}
    file = kubeconfig.with_name("settings.yaml")
    file.write_text(yaml.safe_dump(settings | {"pools": {"cpu": {}}}))
    options = [
        "--log-format=json",
        "--namespace=lab",
        f"--settings={file}",
        f"--health-port={ports[0]}",
        f"--metrics-port={ports[1]}",
    ]
    environment = os.environ | {"KUBECONFIG": str(kubeconfig), "PYTHONPATH": f"{ROOT}:{ROOT / 'shared'}"}
    command = [sys.executable, "-m", "services.controller", *options]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def reader_of(pipe, process, within_sec=30):
    """Wait until somebody reads the pipe, and return the end that keeps him waiting."""
    end = time.monotonic() + within_sec
    while time.monotonic() < end:
        assert process.poll() is None, process.stderr.read()
        try:
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # nobody does yet
            time.sleep(0.1)
    raise TimeoutError("no look has come to the store")


def served(address, process, within_sec=30):
    end = time.monotonic() + within_sec
    while time.monotonic() < end:
        assert process.poll() is None, process.stderr.read()
        try:
            with urlopen(address) as answer:
                return answer.read().decode()
        except OSError:  # not yet
            time.sleep(0.1)
    raise TimeoutError(address)


@pytest.fixture
def ports():
    return free_ports(2)


@pytest.mark.slow
def test_it_leaves_within_seconds_though_every_look_hangs_in_the_store(api_server, tmp_path, ports):
    pipe = tmp_path / "store/blueprints/0ff1ce.yaml"
    pipe.parent.mkdir(parents=True)
    os.mkfifo(pipe)
    with controller(api_server, tmp_path / "store", ports) as process:
        writer = reader_of(pipe, process)
        page = served(f"http://127.0.0.1:{ports[1]}/metrics", process)
        served(f"http://127.0.0.1:{ports[0]}/healthz", process)  # by kopf: it has set its handlers by then
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        os.close(writer)
        events = [json.loads(line) for line in process.stderr]
    assert events[0]["event"] == "controller_started"
    assert 'slipway_controller_api_requests_total{resource="trainingruns",verb="list"}' in page
    assert 'slipway_controller_api_requests_total{resource="trainingruns",verb="get"}' in page


@pytest.mark.slow
def test_it_leaves_at_once_when_it_is_told_so_while_it_begins(api_server, tmp_path, ports):
    with controller(api_server, tmp_path / "store", ports) as process:
        served(f"http://127.0.0.1:{ports[1]}/metrics", process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


@pytest.mark.slow
def test_a_thread_that_dies_takes_the_process_along():
    code = "from services.controller.operator import _or_exit; import threading, time;"
    code += "threading.Thread(target=_or_exit, args=[lambda: 1 / 0], daemon=True).start(); time.sleep(20)"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, "ZeroDivisionError" in ended.stderr) == (1, True)


def run(attempt=1, **status):
    return {"metadata": {"name": "ponds"}, "spec": {"attempt": attempt}, "status": status}


@pytest.mark.parametrize(
    ("found", "is_unsettled"),
    [
        pytest.param(run(), True, id="new"),
        pytest.param(run(state="RUNNING"), True, id="running"),
        pytest.param(run(state="FAILED"), True, id="its-jobs-may-not-expire-yet"),
        pytest.param(run(state="FAILED", settled=1), False, id="settled"),
        pytest.param(run(2, state="FAILED", settled=1), True, id="asked-for-again"),
    ],
)
def test_a_run_is_looked_at_until_its_end_is_written_down_everywhere(found, is_unsettled):
    assert unsettled_runs([found]) == ([found] if is_unsettled else [])
