"""The detector's server matches its OpenAPI description."""

from pathlib import Path

import pytest

from slipway.http.tokens import Role, User
from slipway.store.folder import FolderStore
from tests.contract.described import description, hold_to, operations
from tests.unit.detector.serving.conftest import FakeDetector, Loader, write_export

from services.detector.serving.app import create_app
from services.detector.serving.settings import DetectorSettings

RUN = "harbour-3f2a9c1b"  # the example of the description


class Wren:
    """Accepts one token: the user wren's."""

    async def user(self, secret):
        return User("wren", Role.VIEWER) if secret == "see" else None


def described_app(folder: Path):
    known = DetectorSettings(limits={"requestsPerSecond": 1e6, "burst": 1_000_000})
    return create_app(FolderStore(folder), known, Wren(), Loader(FakeDetector()))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    write_export(FolderStore(folder), RUN)
    return description(described_app(folder))


@pytest.mark.parametrize(("method", "path"), operations(described_app(Path("nowhere"))), ids=lambda part: part)
def test_the_server_does_what_it_says(server, method, path):
    hold_to(server[path][method], "see")
