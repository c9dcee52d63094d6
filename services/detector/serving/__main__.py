"""``python -m services.detector.serving``: serves the exports in a store, and its own metrics at a second port."""

import argparse
import logging
import os
import sys
import tempfile
from pathlib import Path

import uvicorn
from prometheus_client import start_http_server

from slipway.errors import SlipwayError, SpecError
from slipway.http.server import Place, listening
from slipway.open_store import open_store
from slipway.settings_file import read_settings_file
from slipway.shell import leave
from slipway.telemetry import event, start_log
from slipway.tokens import TokenFile

from services.detector.serving.app import create_app
from services.detector.serving.exports import load_model
from services.detector.serving.settings import DetectorSettings

_PATIENCE_SEC = 8.0  # for a store that does not answer: a client is waiting


def main(arguments: list[str]) -> int:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    parser = argparse.ArgumentParser(prog="python -m services.detector.serving")
    parser.add_argument("--settings", type=Path, default=Path("/etc/slipway/detector.yaml"))
    parser.add_argument("--store", default=os.environ.get("SLIPWAY_STORE"), help="SLIPWAY_STORE unless given")
    parser.add_argument("--host", default="0.0.0.0")  # noqa: S104 (a pod's own)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--metrics-port", type=int, default=9090)
    parser.add_argument("--log-format", choices=["text", "json"], default="text")
    asked = parser.parse_args(arguments)
    start_log("detector", "", asked.log_format)
    try:
        return _serve(asked)
    except SlipwayError as error:
        event("detector_failed", logging.ERROR, error=str(error))
        return error.exit_code


def _serve(asked: argparse.Namespace) -> int:
    settings = read_settings_file(asked.settings, DetectorSettings)
    if not asked.store:
        raise SpecError("SLIPWAY_STORE is not set; give s3://bucket/prefix, or the path of a folder")
    store, scratch = open_store(asked.store, _PATIENCE_SEC), Path(tempfile.gettempdir())
    app = create_app(store, settings, TokenFile(settings.tokens), lambda export: load_model(store, export, scratch))
    _import_tensorflow()
    start_http_server(asked.metrics_port, asked.host, app.state.bench.metrics.registry)
    place = Place(asked.host, asked.port, settings.trusted_proxies, settings.shutdown_seconds)
    config = listening(app, place)
    event("detector_started", port=asked.port)
    uvicorn.Server(config).run()
    event("detector_ended")
    return 0


def _import_tensorflow() -> None:
    """Take the ten seconds before anybody is answered: in a thread they would hold up every answer."""
    import tensorflow  # noqa: F401


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
