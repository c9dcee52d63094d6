"""The command: with fake stages, and against the API itself, with a folder for a store and runs in memory."""

import hashlib
import os
import sys
import threading
import time
from pathlib import Path

import pytest
import uvicorn
import yaml

from slipway import keys
from slipway.artifacts.dataset import IngestResult
from slipway.artifacts.json_io import write_document
from slipway.artifacts.outcome import StageFailure
from slipway.http.tokens import TokenFile
from tests.fakes.bucket import FakeBucket
from tests.fakes.runs import FakeRuns
from tests.fakes.stages import REPORT

from services.api.app import create_app
from services.api.context import ApiContext
from services.api.settings import ApiSettings
from services.cli.local import process, supervisor
from services.cli.main import main
from services.cli.remote.client import Api, Server

ROOT = Path(__file__).parents[3]
FAKE_STAGES = ROOT / "tests" / "fakes" / "stages.py"
TOKEN = "do-93ab5d1f"
SHA = "0ff1ce" * 10 + "0ff1"
FILES = {"a.xml": b"<annotation/>", "images/a.jpg": bytes(range(256)) * 20, "images/é.jpg": b""}


class IngestingRuns(FakeRuns):
    """Runs that only ingest are over at once, as the stage and the controller leave them; faulty is refused."""

    def __init__(self, store):
        super().__init__()
        self._store = store

    def create(self, manifest):
        run_object = super().create(manifest)
        if run_object["spec"].get("until") == "ingest":
            run, name = run_object["metadata"]["name"], run_object["spec"]["dataset"]["name"]
            self._refuse(run) if name == "faulty" else self._ingest(run, keys.dataset(name, SHA))
        return run_object

    def _ingest(self, run, dataset):
        write_document(self._store, keys.data_report(dataset, "json"), REPORT)
        write_document(self._store, keys.result(run, "ingest"), IngestResult(dataset=dataset))
        self.report(run, state="SUCCEEDED", settled=1)

    def _refuse(self, run):
        write_document(self._store, keys.failure(run, "ingest"), StageFailure(attempt=1, code=65))
        stages = {"ingest": {"phase": "failed", "attempt": 1}}
        self.report(run, state="FAILED", settled=1, stage="ingest", reason="a.xml: no area", stages=stages)


@pytest.fixture
def cluster(store):
    return IngestingRuns(store)


@pytest.fixture
def store(tmp_path):
    return FakeBucket(tmp_path / "store")


@pytest.fixture
def app(cluster, store, tmp_path):
    file = tmp_path / "tokens.yaml"
    entry = {"name": "crane", "role": "submitter", "sha256": hashlib.sha256(TOKEN.encode()).hexdigest()}
    file.write_text(yaml.safe_dump([entry]))
    settings = ApiSettings.model_validate({"limits": {"requestsPerSecond": 1000, "burst": 1000}})
    api_app = create_app(ApiContext(cluster, store, settings, TokenFile(file), lambda: "2026-01-31T12:00:00Z"))
    api_app.state.streams._pause_sec = 0.01
    return api_app


class CurrentApp:
    """Passes each request to the API of the test that runs."""

    app = None

    async def __call__(self, scope, receive, send):
        await self.app(scope, receive, send)


@pytest.fixture(scope="module")
def server():
    """Serve all tests of a module, since a server takes a fifth of a second to stop; yield its app and its address."""
    current = CurrentApp()
    config = uvicorn.Config(current, "127.0.0.1", 0, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.005)
    yield current, f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(timeout=10)


@pytest.fixture
def url(app, server):
    """The address at which the API answers."""
    current, address = server
    current.app = app
    yield address
    app.state.streams.is_closing = True


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty home, so that nobody's own login is seen; and little patience."""
    for name in ("URL", "TOKEN", "CA_FILE", "INSECURE_HTTP"):
        monkeypatch.delenv(f"SLIPWAY_API_{name}", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("slipway.retry._FIRST_PAUSE_SEC", 0.01)
    return tmp_path / "home"


@pytest.fixture
def logged_in(url, monkeypatch):
    """The environment says where the API is, and who asks."""
    monkeypatch.setenv("SLIPWAY_API_URL", url)
    monkeypatch.setenv("SLIPWAY_API_TOKEN", TOKEN)
    return url


@pytest.fixture
def api(url):
    return Api(Server(url, TOKEN), patience_sec=2)


@pytest.fixture
def source(tmp_path):
    """A folder of annotations."""
    folder = tmp_path / "My Ponds!"
    folder.mkdir()
    (folder / "a.xml").write_text("<annotation/>")
    return folder


@pytest.fixture
def fake_stages(tmp_path, monkeypatch):
    """The folder that tells fake stages, which run in the place of the services, how to behave."""
    folder = tmp_path / "behaviours"
    folder.mkdir()
    monkeypatch.setenv("FAKE_STAGES", str(folder))
    path = os.pathsep.join([str(ROOT / "shared"), str(ROOT), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.setattr(process, "command_line", fake_command_line)
    monkeypatch.setattr(supervisor, "RETRY_WAITS_SEC", (0.0, 0.0, 0.0))
    return folder


def fake_command_line(spec):
    return [sys.executable, str(FAKE_STAGES), spec.module, *spec.arguments]


def slipway(*arguments):
    """Run the command and return its exit code."""
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    return end.value.code


def write_files(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder
