"""A server as a process: options, listening address, log and exit code."""

import argparse
import logging
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from slipway.errors import SlipwayError, SpecError
from slipway.events import event, start_log

Serve = Callable[[argparse.Namespace], int]


def server_options(module: str, settings: str) -> argparse.ArgumentParser:
    """Return a parser for the options of every server.

    Args:
      settings: The default path of its settings file.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {module}")
    parser.add_argument("--settings", type=Path, default=Path(settings))
    parser.add_argument("--store", default=os.environ.get("SLIPWAY_STORE"), help="SLIPWAY_STORE by default")
    parser.add_argument("--host", default="0.0.0.0")  # noqa: S104 (a pod's own)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--metrics-port", type=int, default=9090)
    parser.add_argument("--log-format", choices=["text", "json"], default="text")
    return parser


def run_server(name: str, serve: Serve, arguments: argparse.Namespace) -> int:
    """Serve, log the reason when that fails, and return the exit code of the process."""
    start_log(name, "", arguments.log_format)
    try:
        if not arguments.store:
            raise SpecError("SLIPWAY_STORE is not set; give s3://bucket/prefix, or the path of a folder")
        return serve(arguments)
    except SlipwayError as error:
        event(f"{name}_failed", logging.ERROR, error=str(error))
        return error.exit_code


@dataclass(frozen=True)
class Listener:
    """Address of a server, and how it shuts down.

    Attributes:
      trusted_proxies: Addresses whose X-Forwarded-For is trusted.
      shutdown_seconds: How long requests may take to end after SIGTERM.
    """

    host: str
    port: int
    trusted_proxies: list[str]
    shutdown_seconds: int


def uvicorn_config(app: FastAPI, listener: Listener) -> uvicorn.Config:
    """Return the configuration of uvicorn, which alone ends the process on SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # uvicorn handles it, and sends it again when everything has ended
    return uvicorn.Config(
        app,
        listener.host,
        listener.port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(listener.trusted_proxies),
        forwarded_allow_ips=listener.trusted_proxies,
        timeout_graceful_shutdown=listener.shutdown_seconds,
    )
