"""The runner of a stage: environment, signals, logs and exit code, of which a stage itself knows nothing."""

import logging
import os
import shutil
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import NoReturn, TypeVar

from slipway import keys
from slipway.artifacts.json_io import write_document
from slipway.artifacts.outcome import StageResult
from slipway.errors import EXIT_BUG, EXIT_DONE, EXIT_RETRY, SlipwayError
from slipway.events import event, start_log
from slipway.run.run_file import load_run
from slipway.run.spec import TrainingRun
from slipway.stage.settings import Settings
from slipway.store.from_url import open_store
from slipway.store.interface import ObjectStore

_ORPHAN_GRACE_SEC = 15.0


@dataclass(frozen=True)
class StageParams:
    """The parameters of every stage, besides the store.

    Attributes:
      run: The run as it was requested.
      index: Number of this worker within the stage, from 0.
      scratch: An empty folder for this process alone, removed after the stage.
      stopping: Set when the stage was asked to stop; a graceful stage checks it.
    """

    run: TrainingRun
    index: int
    scratch: Path
    stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def name(self) -> str:
        return self.run.metadata.name


R = TypeVar("R", bound=StageResult)
StageFunction = Callable[[StageParams, ObjectStore], StageResult | None]


def write_result(store: ObjectStore, run: str, stage: str, result: R) -> R:
    """Write a stage's `result.json`, its last key: present means done."""
    write_document(store, keys.result(run, stage), result)
    return result


def run_stage(stage: str, function: StageFunction, graceful: bool = False) -> int:
    """Run a stage as the only work of this process and return its exit code.

    Args:
      stage: The process's name in logs and keys.
      graceful: Whether the function checks `params.stopping` itself; otherwise SIGTERM interrupts it.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        settings = Settings.read()
    except SlipwayError as error:
        start_log(stage, os.environ.get("SLIPWAY_RUN", ""), os.environ.get("SLIPWAY_LOG_FORMAT", "text"))
        event("stage_failed", logging.ERROR, error=str(error))
        return error.exit_code
    from slipway.stage.gpus import watch_gpus
    from slipway.stage.log_saver import LogSaver
    from slipway.stage.metric_snapshots import SnapshotSaver

    log = start_log(stage, settings.run, settings.log_format)
    if os.environ.get("CUDA_VISIBLE_DEVICES") != "-1":
        watch_gpus(settings.index)
    saver = LogSaver(settings, stage, SnapshotSaver(settings.run, stage, settings.index))
    log.addHandler(saver)
    saver.setFormatter(log.handlers[0].formatter)
    stopping = threading.Event()
    _watch_signals(stopping, graceful)
    if settings.dies_with_parent:
        threading.Thread(target=_watch_parent, daemon=True).start()
    started = time.monotonic()
    code, reason = _guarded(stage, function, settings, stopping)
    event("stage_ended", code=code, duration_sec=round(time.monotonic() - started, 1), reason=reason or None)
    if reason:
        _write_reason(settings.termination_log, reason)
    saver.close()
    return code


def leave(code: int) -> NoReturn:
    """End the process at once; call it when everything is saved.

    After a training, Python's normal exit spends a minute on tearing down TensorFlow (measured: 55 s after 346 s).
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _guarded(stage: str, function: StageFunction, settings: Settings, stopping: threading.Event) -> tuple[int, str]:
    """Run the function; translate its exceptions to an exit code and a reason."""
    scratch = settings.scratch / f"slipway-{stage}-{settings.index}-{uuid.uuid4().hex[:8]}"
    try:
        store = open_store(settings.store)
        run = load_run(settings.run, store)
        scratch.mkdir(parents=True)
        event("stage_started", stage_attempt=settings.attempt, index=settings.index)
        function(StageParams(run, settings.index, scratch, stopping), store)
        return EXIT_DONE, ""
    except _Signaled as signaled:
        event("stage_failed", logging.ERROR, error=str(signaled))
        return EXIT_RETRY, str(signaled)
    except SlipwayError as error:
        event("stage_failed", logging.ERROR, error=str(error))
        return error.exit_code, str(error)
    except OSError as error:
        event("stage_failed", logging.ERROR, error=str(error))
        return EXIT_RETRY, f"{error.strerror or error}: {error.filename or settings.scratch}"
    except Exception as error:
        logging.getLogger("slipway").exception("%s: %s", type(error).__name__, error)
        return EXIT_BUG, f"{type(error).__name__}: {error} (a bug in slipway; the log has the traceback)"
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


class _Signaled(BaseException):
    """Ends a stage from within. A BaseException, since AutoGraph catches every Exception of the code it traces."""


def _watch_signals(stopping: threading.Event, graceful: bool) -> None:
    def stop(number: int, _frame: FrameType | None) -> None:
        first = not stopping.is_set()
        stopping.set()
        if first and not graceful:
            raise _Signaled(f"stopped by {signal.Signals(number).name}; run the same command again to carry on")

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)


def _watch_parent() -> None:
    """Stop the process at the end of standard input, which the parent process keeps open as long as it lives."""
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_ORPHAN_GRACE_SEC)
    os._exit(EXIT_RETRY)


def _write_reason(path: Path, reason: str) -> None:
    try:
        path.write_bytes(reason.encode(errors="backslashreplace")[:4000])  # Kubernetes keeps 4096 of it
    except OSError:
        event("termination_log_unwritable", logging.DEBUG, file=str(path))
