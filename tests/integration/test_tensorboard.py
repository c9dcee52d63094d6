"""TensorBoard over a real S3 server: runs are deleted and the server goes away, and the pages stay."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress

import pytest

from slipway.store.interface import delete_all
from slipway.store.s3.client import connect
from tests.contract.s3_servers import ACCESS_KEY, BUCKET, SECRET_KEY, Server, s3_store
from tests.ports import free_port

pytestmark = pytest.mark.slow


@pytest.fixture
def server(tmp_path):
    server = Server("rclone", tmp_path).start()
    connect(server.settings()).make_bucket(BUCKET)
    yield server
    server.stop()


@pytest.fixture
def store(server):
    return s3_store(server)


@pytest.fixture
def shown(server, store):
    """Start TensorBoard on the store's runs; return how the steps of each run's loss that it shows are read."""
    port = free_port()
    options = ["--logdir", store.url, "--port", str(port), "--load_fast", "false", "--reload_interval", "1"]
    keys = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "AWS_REGION": "us-east-1"}
    env = os.environ | keys | {"S3_ENDPOINT": f"http://{server.address}", "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-m", "services.tensorboard", *options], env=env)

    def steps():
        assert process.poll() is None, f"TensorBoard ended with {process.returncode}"
        page = f"http://127.0.0.1:{port}/data/plugin/scalars"
        with urllib.request.urlopen(f"{page}/tags", timeout=10) as answer:
            runs = json.load(answer)
        found = {}
        for run in runs:
            with urllib.request.urlopen(f"{page}/scalars?run={run}&tag=loss", timeout=10) as answer:
                found[run] = [step for _, step, _ in json.load(answer)]
        return found

    yield steps
    process.terminate()
    process.wait()


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    """An event file with the loss of three steps."""
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("events")
    writer = tf.summary.create_file_writer(str(folder))
    with writer.as_default():
        for step in (10, 20, 30):
            tf.summary.scalar("loss", 1 / step, step)
    writer.close()
    (file,) = folder.iterdir()
    return file


def await_that(shown, expected):
    end = time.monotonic() + 60
    found = None
    while found != expected and time.monotonic() < end:
        with suppress(OSError):
            found = shown()
        time.sleep(0.2)
    assert found == expected


def test_what_is_shown_is_what_is_in_the_store_through_deletion_and_absence(server, store, events, shown):
    for run in ("ponds", "walk"):
        store.upload(events, f"{run}/{events.name}")
    await_that(shown, {"ponds": [10, 20, 30], "walk": [10, 20, 30]})
    delete_all(store, "ponds")
    await_that(shown, {"walk": [10, 20, 30]})
    server.stop()
    time.sleep(3)
    assert shown() == {"walk": [10, 20, 30]}
    server.start()
    store.upload(events, f"lake/{events.name}")
    await_that(shown, {"walk": [10, 20, 30], "lake": [10, 20, 30]})
