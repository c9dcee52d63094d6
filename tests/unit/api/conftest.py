import hashlib
import logging
import warnings

import pytest
import yaml

from slipway.store.folder import FolderStore
from tests.fakes.runs import FakeRuns

with warnings.catch_warnings():  # it asks for httpx2 by then, and works with httpx, which schemathesis needs too
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

from slipway.http.tokens import TokenFile

from services.api.app import create_app
from services.api.context import ApiContext
from services.api.settings import ApiSettings

SECRETS = {"viewer": "see-5d1f", "submitter": "do-93ab", "admin": "all-77c0"}
SPEC = {"dataset": {"source": "s3://photos/ponds"}}


@pytest.fixture
def cluster():
    return FakeRuns()


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path / "store")


@pytest.fixture
def limits():
    return {"requestsPerSecond": 1000, "burst": 1000}


@pytest.fixture
def tokens(tmp_path):
    """A tokens file with one token a role, each belonging to somebody named after a bird."""
    names = {"viewer": "wren", "submitter": "crane", "admin": "heron"}
    entries = [
        {"name": names[role], "role": role, "sha256": hashlib.sha256(secret.encode()).hexdigest()}
        for role, secret in SECRETS.items()
    ]
    file = tmp_path / "tokens.yaml"
    file.write_text(yaml.safe_dump(entries))
    return file


@pytest.fixture
def context(cluster, store, tokens, limits):
    settings = ApiSettings.model_validate({"limits": limits})
    return ApiContext(cluster, store, settings, TokenFile(tokens), lambda: "2026-01-31T12:00:00Z")


@pytest.fixture
def app(context):
    application = create_app(context)
    application.state.streams._pause_sec = 0.01
    return application


@pytest.fixture
def client(app):
    """A client that may submit."""
    return TestClient(app, headers=bearer("submitter"), raise_server_exceptions=False)


@pytest.fixture
def events(caplog):
    """Return what was logged so far, as (event, fields)."""
    caplog.set_level(logging.INFO, logger="slipway.events")

    def fields_of_events(name: str) -> list[dict]:
        return [record.fields for record in caplog.records if record.getMessage() == name]

    return fields_of_events


def bearer(role: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {SECRETS[role]}"}


def stored_keys(store, prefix: str = "") -> list[str]:
    return [item.key for item in store.scan(prefix)]
