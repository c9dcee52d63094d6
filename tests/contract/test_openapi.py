"""The API matches its OpenAPI description."""

import json
from pathlib import Path

import pytest

from slipway.http.tokens import Role, User
from slipway.store.folder import FolderStore
from tests.contract.described import description, hold_to, operations
from tests.fakes.runs import FakeRuns

from services.api.app import create_app
from services.api.context import ApiContext
from services.api.settings import ApiSettings

RUN = "harbour-3f2a9c1b"  # the example of the description
SPEC = {"dataset": {"source": "s3://photos/ponds"}}


class Heron:
    """Accepts one token: the admin heron's."""

    async def user(self, secret):
        return User("heron", Role.ADMIN) if secret == "all" else None


def described_app(folder: Path):
    """Return an API with one run, which has ended; only requests write to the folder."""
    cluster = FakeRuns()
    cluster.create({"metadata": {"name": RUN}, "spec": SPEC})
    cluster.report(RUN, state="SUCCEEDED", artifacts={"dataset": f"datasets/harbour/{'ab' * 32}"})
    known = ApiSettings(limits={"requestsPerSecond": 1e6, "burst": 1_000_000})
    app = create_app(ApiContext(cluster, FolderStore(folder), known, Heron(), lambda: "2026-01-31T12:00:00Z"))
    app.state.streams._pause_sec = 0.01
    return app


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    """The OpenAPI description of an API, by which the tests call it."""
    folder = tmp_path_factory.mktemp("store")
    store = FolderStore(folder)
    store.write(f"runs/{RUN}/run.json", json.dumps({"metadata": {"name": RUN}, "spec": SPEC}).encode())
    store.write(f"runs/{RUN}/logs/train/1/train-0-1769860800-7-0000.log", b"one\n")
    return description(described_app(folder))


@pytest.mark.parametrize(("method", "path"), operations(described_app(Path("nowhere"))), ids=lambda part: part)
def test_the_api_does_what_it_says(api, method, path):
    hold_to(api[path][method], "all")
