"""``python -m services.api``: serves the runs of one namespace, and its own metrics at a second port."""

import argparse
import sys
from types import FrameType

import uvicorn
from fastapi import FastAPI
from prometheus_client import start_http_server

from slipway.events import event
from slipway.http.serve import Listener, run_server, server_options, uvicorn_config
from slipway.http.tokens import TokenFile, Tokens, TokenSources
from slipway.settings_file import read_settings_file
from slipway.stage.runner import leave
from slipway.store.from_url import open_store
from slipway.text import timestamp

from services.api.app import create_app
from services.api.auth.oidc import OidcTokens
from services.api.context import ApiContext
from services.api.kube.runs import RunsCluster, connect
from services.api.kube.watch_cache import CachedRuns
from services.api.settings import ApiSettings

_PATIENCE_SEC = 8.0  # with a store that does not answer, since a client is waiting


def main(arguments: list[str]) -> int:
    return run_server("api", _serve, parser().parse_args(arguments))


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = server_options("services.api", "/etc/slipway/api.yaml")
    parser.add_argument("--namespace", default="slipway", help="the namespace whose runs are served")
    return parser


def _serve(arguments: argparse.Namespace) -> int:
    settings = read_settings_file(arguments.settings, ApiSettings)
    cluster = CachedRuns(connect(arguments.namespace))
    app = create_app(_context(arguments.store, settings, cluster))
    cluster.start()
    start_http_server(arguments.metrics_port, arguments.host, app.state.metrics.registry)
    place = Listener(arguments.host, arguments.port, settings.trusted_proxies, settings.shutdown_seconds)
    config = uvicorn_config(app, place)
    event("api_started", namespace=arguments.namespace, port=arguments.port)
    _Server(config, app).run()
    cluster.stop()
    event("api_ended")
    return 0


def _context(url: str, settings: ApiSettings, cluster: RunsCluster) -> ApiContext:
    store = open_store(url, _PATIENCE_SEC, settings.public_store)
    tokens: list[Tokens] = [TokenFile(settings.tokens)]
    if settings.oidc:
        tokens.append(OidcTokens(settings.oidc))
    return ApiContext(cluster, store, settings, TokenSources(tokens), timestamp)


class _Server(uvicorn.Server):
    """A server that closes open event streams as soon as the process has to stop; they would not end by themselves."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._streams = app.state.streams

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._streams.is_closing = True
        super().handle_exit(sig, frame)


if __name__ == "__main__":
    leave(main(sys.argv[1:]))  # as the controller does: a normal exit may abort while a thread writes
