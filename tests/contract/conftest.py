"""The stores that are held to the contract, and the servers behind them."""

import pytest

from slipway.store.folder import FolderStore
from slipway.store.s3.client import connect
from tests.contract.s3_servers import BUCKET, PROGRAMS, Server, s3_store
from tests.programs import require


@pytest.fixture(scope="session")
def servers(tmp_path_factory):
    """Start each server when a test first asks for it; stop all at the end."""
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
    """Every S3 server at hand."""
    return servers(request.param)


@pytest.fixture(params=["folder", *PROGRAMS])
def store(request, tmp_path):
    """Every store: each test has an empty one."""
    if request.param == "folder":
        return FolderStore(tmp_path / "store")
    return s3_store(request.getfixturevalue("servers")(request.param))
