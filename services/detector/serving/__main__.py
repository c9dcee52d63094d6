"""``python -m services.detector.serving``: serves the exports in a store, and its metrics at a second port."""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import uvicorn
from prometheus_client import start_http_server

from slipway.events import event
from slipway.http.serve import Listener, run_server, server_options, uvicorn_config
from slipway.http.tokens import TokenFile
from slipway.settings_file import read_settings_file
from slipway.stage.runner import leave
from slipway.store.from_url import open_store

from services.detector.serving.app import create_app
from services.detector.serving.model_loader import load_model
from services.detector.serving.settings import DetectorSettings

_PATIENCE_SEC = 8.0  # with a store that does not answer, since a client is waiting


def main(arguments: list[str]) -> int:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    return run_server("detector", _serve, parser().parse_args(arguments))


def parser() -> argparse.ArgumentParser:
    return server_options("services.detector.serving", "/etc/slipway/detector.yaml")


def _serve(values: argparse.Namespace) -> int:
    settings = read_settings_file(values.settings, DetectorSettings)
    store, scratch = open_store(values.store, _PATIENCE_SEC), Path(tempfile.gettempdir())
    app = create_app(store, settings, TokenFile(settings.tokens), lambda export: load_model(store, export, scratch))
    _import_tensorflow()
    start_http_server(values.metrics_port, values.host, app.state.context.metrics.registry)
    place = Listener(values.host, values.port, settings.trusted_proxies, settings.shutdown_seconds)
    config = uvicorn_config(app, place)
    event("detector_started", port=values.port)
    uvicorn.Server(config).run()
    event("detector_ended")
    return 0


def _import_tensorflow() -> None:
    """Import TensorFlow before the first request: in a thread, its ten seconds would delay every answer."""
    import tensorflow  # noqa: F401


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
