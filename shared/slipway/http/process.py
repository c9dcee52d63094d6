"""A server of Slipway as a process: its options, its log, its exit code."""

import argparse
import logging
import os
from collections.abc import Callable
from pathlib import Path

from slipway.errors import SlipwayError, SpecError
from slipway.events import event, start_log

Serve = Callable[[argparse.Namespace], int]


def options(module: str, settings: str) -> argparse.ArgumentParser:
    """Return the options that every server has.

    Args:
      settings: The path of its settings file unless told otherwise.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {module}")
    parser.add_argument("--settings", type=Path, default=Path(settings))
    parser.add_argument("--store", default=os.environ.get("SLIPWAY_STORE"), help="SLIPWAY_STORE unless given")
    parser.add_argument("--host", default="0.0.0.0")  # noqa: S104 (a pod's own)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--metrics-port", type=int, default=9090)
    parser.add_argument("--log-format", choices=["text", "json"], default="text")
    return parser


def logged(name: str, serve: Serve, asked: argparse.Namespace) -> int:
    """Serve, and say in the log why that cannot go on; return the process's exit code."""
    start_log(name, "", asked.log_format)
    try:
        if not asked.store:
            raise SpecError("SLIPWAY_STORE is not set; give s3://bucket/prefix, or the path of a folder")
        return serve(asked)
    except SlipwayError as error:
        event(f"{name}_failed", logging.ERROR, error=str(error))
        return error.exit_code
