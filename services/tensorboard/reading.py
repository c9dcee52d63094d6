"""How TensorBoard reads runs from a store that may be away, and that runs are deleted from.

One thread reads them all. The first request that fails would end it, and the pages would stand still for ever.
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
    """Let TensorBoard go on reading after requests that fail, and end the process with its thread if it ends at all."""
    EventAccumulator.Reload = _forgetting(EventAccumulator.Reload)
    EventMultiplexer.AddRunsFromDirectory = _patient(EventMultiplexer.AddRunsFromDirectory)
    threading.excepthook = _end


def _forgetting(reload: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Let a run go that could not be read: if it is still in the store it is found, and read anew."""

    def reload_or_forget(accumulator: Any) -> Any:
        try:
            return reload(accumulator)
        except _FAILURES as failure:
            raise DirectoryDeletedError(f"{accumulator.path}: {failure}") from failure

    return reload_or_forget


def _patient(add_runs: Callable[..., Any]) -> Callable[..., Any]:
    """Look for runs until the store answers; what was read before is shown meanwhile."""

    def add_runs_in_the_end(multiplexer: Any, path: str, name: str | None = None) -> Any:
        while True:
            try:
                return add_runs(multiplexer, path, name)
            except (*_FAILURES, DirectoryDeletedError) as failure:
                logging.getLogger(__name__).warning("%s; looking again in %d s", failure, _PAUSE_SEC)
                time.sleep(_PAUSE_SEC)

    return add_runs_in_the_end


def _end(failure: threading.ExceptHookArgs) -> None:
    threading.__excepthook__(failure)
    os._exit(EXIT_RETRY)
