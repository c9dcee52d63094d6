"""The API against its own description: whatever is sent, what comes back is what it says, and never a 5xx."""

import json
import warnings
from pathlib import Path

import pytest

from slipway.store import FolderStore
from tests.fake_runs import FakeRuns

with warnings.catch_warnings():  # Starlette's test client asks for httpx2, and works with httpx
    warnings.simplefilter("ignore")
    import schemathesis
    from hypothesis import HealthCheck, given, settings
    from schemathesis import checks

from slipway.tokens import Role, User

from services.api.app import create_app
from services.api.desk import Desk
from services.api.settings import ApiSettings

RUN = "harbour-3f2a9c1b"  # the example of the description
SPEC = {"dataset": {"source": "s3://photos/ponds"}}
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.ignored_auth,
    checks.unsupported_method,
]


class Heron:
    """Whose the one token is."""

    async def user(self, secret):
        return User("heron", Role.ADMIN) if secret == "all" else None


def described_app(folder: Path):
    """Return an API that holds one run, which has ended; the folder is written by requests only."""
    cluster = FakeRuns()
    cluster.create({"metadata": {"name": RUN}, "spec": SPEC})
    cluster.report(RUN, state="SUCCEEDED", artifacts={"dataset": f"datasets/harbour/{'ab' * 32}"})
    known = ApiSettings(limits={"requestsPerSecond": 1e6, "burst": 1_000_000})
    app = create_app(Desk(cluster, FolderStore(folder), known, Heron(), lambda: "2026-01-31T12:00:00Z"))
    app.state.streams._pause_sec = 0.01
    return app


OPERATIONS = [
    (method.upper(), path)
    for path, methods in described_app(Path("nowhere")).openapi()["paths"].items()
    for method in methods
]


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    """The description of an API, by way of which it is called."""
    folder = tmp_path_factory.mktemp("store")
    store = FolderStore(folder)
    store.write(f"runs/{RUN}/run.json", json.dumps({"metadata": {"name": RUN}, "spec": SPEC}).encode())
    store.write(f"runs/{RUN}/logs/train/1/train-0-1769860800-7-0000.log", b"one\n")
    return schemathesis.openapi.from_asgi("/openapi.json", described_app(folder))


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=lambda part: part)
def test_the_api_does_what_it_says(api, method, path):
    @given(case=api[path][method].as_strategy())
    @settings(max_examples=30, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    def does_what_it_says(case):
        case.call_and_validate(headers={"Authorization": "Bearer all"}, checks=CHECKS)

    does_what_it_says()
