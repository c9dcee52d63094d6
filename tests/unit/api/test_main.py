"""The process: it serves, counts, and ends when it is told to, with streams open."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from slipway.retention.policy import Limits
from slipway.retention.sweep import collect
from tests.contract.s3_servers import ACCESS_KEY, BUCKET, SECRET_KEY, Server, s3_store
from tests.fakes.kubernetes_server import KubernetesServer
from tests.ports import free_ports
from tests.programs import find, require
from tests.unit.api.conftest import SECRETS, SPEC, bearer, stored_keys

ROOT = Path(__file__).parents[3]


@pytest.fixture
def kubeconfig(cluster, tmp_path):
    with KubernetesServer(cluster) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        names = {"current-context": "it", "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}]}
        its = {"clusters": [{"name": "it", "cluster": {"server": server.url}}], "users": [{"name": "it", "user": {}}]}
        file = tmp_path / "kubeconfig"
        file.write_text(json.dumps({"apiVersion": "v1", "kind": "Config"} | names | its))
        yield file
        cluster.hang_up()
        server.shutdown()
        thread.join()


@pytest.fixture
def command(tmp_path, tokens):
    settings = tmp_path / "api.yaml"
    settings.write_text(json.dumps({"tokens": str(tokens)}))
    return [sys.executable, "-m", "services.api", "--host=127.0.0.1", f"--settings={settings}", "--namespace=lab"]


@contextmanager
def open_url(port, path, method="GET", body=None):
    """Yield the answer, its body not yet read."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request(method, path, body, bearer("submitter") | {"Content-Type": "application/json"})
        with connection.getresponse() as answer:
            yield answer


def ask(*request):
    """Return status and text of an answer."""
    with open_url(*request) as answer:
        return answer.status, answer.read().decode()


def await_ready(port, process):
    for _ in range(600):
        assert process.poll() is None, process.stderr.read()
        try:
            if ask(port, "/readyz")[0] == 200:
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise AssertionError("not ready in a minute")


def await_text(port, text):
    for _ in range(600):
        if text in ask(port, "/metrics")[1]:
            return
        time.sleep(0.1)
    raise AssertionError(f"{text} not there in a minute")


@pytest.mark.slow
def test_the_process_ends_in_peace_while_a_stream_is_open(command, kubeconfig, tmp_path):
    port, metrics = free_ports(2)
    options = [f"--port={port}", f"--metrics-port={metrics}", f"--store={tmp_path / 'store'}"]
    environment = os.environ | {"KUBECONFIG": str(kubeconfig), "PYTHONPATH": f"{ROOT}:{ROOT / 'shared'}"}
    process = subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True, env=environment, cwd=ROOT)
    try:
        await_ready(port, process)
        body = json.dumps({"metadata": {"name": "ponds"}, "spec": SPEC})
        assert ask(port, "/v1/runs", "POST", body)[0] == 201
        with open_url(port, "/v1/runs/ponds/events") as stream:
            assert stream.readline() == b"id: 1\n"
        await_text(metrics, "slipway_http_streams 0.0")  # who hangs up is noticed
        with open_url(port, "/v1/runs/ponds/events") as stream:
            assert stream.readline() == b"id: 1\n"
            metrics_text = ask(metrics, "/metrics")[1]
            process.send_signal(signal.SIGTERM)
            assert b"event: end" not in stream.read()
        log = process.communicate(timeout=20)[1]
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    assert 'slipway_http_requests_total{method="POST",route="/v1/runs",status="201"} 1.0' in metrics_text
    assert "slipway_http_streams 1.0" in metrics_text
    assert "event=api_started" in log
    assert "event=audit user=crane role=submitter action=run.create target=ponds outcome=done" in log
    assert "event=api_ended" in log
    assert "Traceback" not in log
    assert SECRETS["submitter"] not in log


@pytest.fixture
def bucket(tmp_path):
    name = "versitygw" if find("versitygw") else "rclone"
    require(name)
    (tmp_path / "s3" / BUCKET).mkdir(parents=True)
    server = Server(name, tmp_path / "s3").start()
    yield server
    server.stop()


def send_until_parts_are_there(port, store):
    """Send half of an archive, and return when its first parts are in the store."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    head = {**bearer("submitter"), "Host": "api", "Content-Type": "application/zip", "Content-Length": 64 << 20}
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    connection.sendall(f"POST /v1/datasets?name=ponds HTTP/1.1\r\n{lines}\r\n".encode() + bytes(20 << 20))
    for _ in range(600):
        if len(stored_keys(store, "incoming")) >= 3:
            return connection
        time.sleep(0.1)
    raise AssertionError("no parts in a minute")


@pytest.mark.slow
def test_killed_in_the_middle_of_an_upload_it_leaves_nothing_but_what_gc_removes(
    command, kubeconfig, bucket, tmp_path, cluster
):
    (port, metrics), store = free_ports(2), s3_store(bucket)
    options = [f"--port={port}", f"--metrics-port={metrics}", f"--store={store.url}"]
    environment = os.environ | {"KUBECONFIG": str(kubeconfig), "PYTHONPATH": f"{ROOT}:{ROOT / 'shared'}"}
    environment |= {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
    environment |= {"SLIPWAY_S3_ENDPOINT": f"http://{bucket.address}", "SLIPWAY_S3_REGION": "us-east-1"}
    process = subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True, env=environment, cwd=ROOT)
    try:
        await_ready(port, process)
        with closing(send_until_parts_are_there(port, store)):
            process.kill()
            process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert stored_keys(store, "uploads") == []
    assert cluster.objects == {}
    removal = collect(store, Limits(uploads=timedelta(days=7)), time.time() + 8 * 86400, lambda group: None)
    assert removal.counts == {"upload": 1}
    assert stored_keys(store) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "missing"),
    [([], "SLIPWAY_STORE is not set"), (["--store=somewhere"], "no cluster: ")],
    ids=["store", "cluster"],
)
def test_the_process_says_what_is_missing(command, tmp_path, options, missing):
    environment = {name: value for name, value in os.environ.items() if name != "SLIPWAY_STORE"}
    environment |= {"PYTHONPATH": f"{ROOT}:{ROOT / 'shared'}", "KUBECONFIG": str(tmp_path / "nowhere")}
    command = [*command, *options, "--log-format=json"]
    process = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, check=False)
    assert process.returncode == 65
    (event,) = map(json.loads, process.stderr.splitlines())
    assert (event["event"], event["error"][: len(missing)]) == ("api_failed", missing)
