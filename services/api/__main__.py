"""``python -m services.api``: serves one namespace's runs, and its own metrics at a second port."""

import argparse
import sys
import time
from types import FrameType

import uvicorn
from fastapi import FastAPI
from prometheus_client import start_http_server

from slipway.events import event
from slipway.http.process import logged, options
from slipway.http.server import Place, listening
from slipway.http.tokens import Either, TokenFile, Tokens
from slipway.settings_file import read_settings_file
from slipway.stage.runner import leave
from slipway.store.from_url import open_store

from services.api.app import create_app
from services.api.auth.oidc import OidcTokens
from services.api.context import Desk
from services.api.kube.runs import RunsCluster, connect
from services.api.kube.watch_cache import WatchedRuns
from services.api.settings import ApiSettings

_PATIENCE_SEC = 8.0  # for a store that does not answer: a client is waiting


def main(arguments: list[str]) -> int:
    return logged("api", _serve, parser().parse_args(arguments))


def parser() -> argparse.ArgumentParser:
    asked = options("services.api", "/etc/slipway/api.yaml")
    asked.add_argument("--namespace", default="slipway", help="whose runs are served")
    return asked


def _serve(asked: argparse.Namespace) -> int:
    settings = read_settings_file(asked.settings, ApiSettings)
    cluster = WatchedRuns(connect(asked.namespace))
    app = create_app(_desk(asked.store, settings, cluster))
    cluster.start()
    start_http_server(asked.metrics_port, asked.host, app.state.metrics.registry)
    place = Place(asked.host, asked.port, settings.trusted_proxies, settings.shutdown_seconds)
    config = listening(app, place)
    event("api_started", namespace=asked.namespace, port=asked.port)
    _Server(config, app).run()
    cluster.stop()
    event("api_ended")
    return 0


def _desk(url: str, settings: ApiSettings, cluster: RunsCluster) -> Desk:
    store = open_store(url, _PATIENCE_SEC, settings.public_store)
    tokens: list[Tokens] = [TokenFile(settings.tokens)]
    if settings.oidc:
        tokens.append(OidcTokens(settings.oidc))
    return Desk(cluster, store, settings, Either(tokens), _now)


class _Server(uvicorn.Server):
    """Ends streams as soon as the process is told to stop: they would not end by themselves."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._streams = app.state.streams

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._streams.is_closing = True
        super().handle_exit(sig, frame)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


if __name__ == "__main__":
    leave(main(sys.argv[1:]))  # as the controller does: Python's own way out may abort while a thread writes
