"""Patches of TensorBoard's reading of runs, so that it survives an unavailable store and deleted runs.

One thread of TensorBoard reads every run. Without the patches, the first failed request ends that thread, and the pages
are never updated again.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from tensorboard.backend.event_processing.directory_watcher import DirectoryDeletedError
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer

from slipway.errors import EXIT_RETRY

_FAILURES = (BotoCoreError, ClientError)
_PAUSE_SEC = 5


def outlive_failures() -> None:
    """Make TensorBoard continue after failed requests, and end the process if its thread ends nevertheless."""
    EventAccumulator.Reload = _drop_unreadable_run(EventAccumulator.Reload)
    EventMultiplexer.AddRunsFromDirectory = _retry(EventMultiplexer.AddRunsFromDirectory)
    threading.excepthook = _end_process


def _drop_unreadable_run(reload: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Drop a run that could not be read; if it is still in the store, it is added and read again."""

    def reload_or_drop(accumulator: Any) -> Any:
        try:
            return reload(accumulator)
        except _FAILURES as failure:
            raise DirectoryDeletedError(f"{accumulator.path}: {failure}") from failure

    return reload_or_drop


def _retry(add_runs: Callable[..., Any]) -> Callable[..., Any]:
    """List the runs until the store answers; meanwhile TensorBoard shows the runs that it has read."""

    def add_runs_with_retries(multiplexer: Any, path: str, name: str | None = None) -> Any:
        while True:
            try:
                return add_runs(multiplexer, path, name)
            except (*_FAILURES, DirectoryDeletedError) as failure:
                logging.getLogger(__name__).warning("%s; looking again in %d s", failure, _PAUSE_SEC)
                time.sleep(_PAUSE_SEC)

    return add_runs_with_retries


def _end_process(failure: threading.ExceptHookArgs) -> None:
    threading.__excepthook__(failure)
    os._exit(EXIT_RETRY)
