"""The stores that the contract covers, and the servers behind them."""

import pytest

from slipway.store.folder import FolderStore
from slipway.store.s3.client import connect
from tests.contract.s3_servers import BUCKET, PROGRAMS, Server, s3_store
from tests.programs import require


@pytest.fixture(scope="session")
def servers(tmp_path_factory):
    """Start each server when a test first needs it; stop all at the end."""
    running = {}

    def running_server(name):
        require(name)
        if name not in running:
            running[name] = Server(name, tmp_path_factory.mktemp(name)).start()
            connect(running[name].settings()).make_bucket(BUCKET)
        return running[name]

    yield running_server
    for server in running.values():
        server.stop()


@pytest.fixture(params=PROGRAMS)
def server(request, servers):
    """Return each installed S3 server in turn."""
    return servers(request.param)


@pytest.fixture(params=["folder", *PROGRAMS])
def store(request, tmp_path):
    """Return each kind of store in turn, empty for each test."""
    if request.param == "folder":
        return FolderStore(tmp_path / "store")
    return s3_store(request.getfixturevalue("servers")(request.param))
