"""The command against the API itself, served over a folder and runs in memory."""

import hashlib
import threading
import time

import pytest
import uvicorn
import yaml

from slipway import api_client
from slipway.api_client import Api, Server
from slipway.cli.main import main
from slipway.store import FolderStore
from tests.fake_runs import FakeRuns
from tests.unit.slipway.cli.contract import uploads_and_artifacts

from services.api.app import create_app
from services.api.desk import Desk
from services.api.settings import ApiSettings
from services.api.tokens import TokenFile

TOKEN = "do-93ab5d1f"


@pytest.fixture
def cluster():
    return FakeRuns()


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path / "store")


@pytest.fixture
def app(cluster, store, tmp_path, parts_url):
    file = tmp_path / "tokens.yaml"
    entry = {"name": "crane", "role": "submitter", "sha256": hashlib.sha256(TOKEN.encode()).hexdigest()}
    file.write_text(yaml.safe_dump([entry]))
    settings = ApiSettings.model_validate({"limits": {"requestsPerSecond": 1000, "burst": 1000}})
    made = create_app(Desk(cluster, store, settings, TokenFile(file), lambda: "2026-01-31T12:00:00Z"))
    made.state.streams._pause_sec = 0.01
    own = len(made.router.routes)
    made.include_router(uploads_and_artifacts(store, cluster, parts_url))
    routes = made.router.routes
    routes[:] = routes[own:] + routes[:own]  # those of the stand-in answer
    return made


@pytest.fixture
def parts_url():
    """Where presigned parts go; None: the store has no addresses, as a folder has none."""


@pytest.fixture
def url(app):
    """The address at which the API answers."""
    config = uvicorn.Config(app, "127.0.0.1", 0, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.005)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    app.state.streams.is_closing = True
    server.should_exit = True
    thread.join(timeout=10)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty home, so that nobody's own login is seen; and little patience."""
    for name in ("URL", "TOKEN", "CA_FILE", "INSECURE_HTTP"):
        monkeypatch.delenv(f"SLIPWAY_API_{name}", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(api_client, "_FIRST_PAUSE_SEC", 0.01)
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


def slipway(*arguments):
    """Run the command and return its exit code."""
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    return left.value.code
