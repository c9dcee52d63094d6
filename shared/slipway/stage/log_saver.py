"""A log handler that saves a process's log and metrics in the store."""

import logging
import os
import threading
import time
from contextlib import suppress

from slipway import keys
from slipway.errors import SlipwayError
from slipway.stage.metric_snapshots import SnapshotSaver
from slipway.stage.settings import Settings
from slipway.store.from_url import open_store
from slipway.store.interface import ObjectStore

_FLUSH_SEC = 5.0
_SEGMENT_BYTES = 1 << 20  # a log is rewritten whole at every flush, so a segment is kept short


class LogSaver(logging.Handler):
    """Saves the log in the store every few seconds and at the end, and after it the process's metrics.

    A store that does not answer must not stop the work: lines that could not be written wait for the next flush.
    """

    def __init__(self, settings: Settings, stage: str, snapshots: SnapshotSaver) -> None:
        super().__init__()
        self._settings, self._stage, self._snapshots = settings, stage, snapshots
        self._member = f"{stage}-{settings.index}-{int(time.time())}-{os.getpid()}"
        self._segment, self._lines, self._saved = 0, bytearray(), 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._flush_often, daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        self._lines += self.format(record).encode(errors="backslashreplace") + b"\n"

    def flush(self) -> None:
        """Save the log alone, as `logging` asks for it."""
        with suppress(SlipwayError, OSError):
            self._save_log(self._store())

    def close(self) -> None:
        if self._ended.is_set():  # `logging` closes it again when the process ends
            return
        self._ended.set()
        self._thread.join(timeout=_FLUSH_SEC)
        self._save()
        super().close()

    def _flush_often(self) -> None:
        while not self._ended.wait(_FLUSH_SEC):
            self._save()

    def _save(self) -> None:
        with suppress(SlipwayError, OSError):
            store = self._store()
            self._save_log(store)
            self._snapshots.save(store, is_last=self._ended.is_set())

    def _store(self) -> ObjectStore:
        # While the stage runs, the next flush is the second try.
        return open_store(self._settings.store, patience_sec=_FLUSH_SEC if self._ended.is_set() else 0)

    def _save_log(self, store: ObjectStore) -> None:
        with self.lock or threading.Lock():
            lines = bytes(self._lines)
        if len(lines) == self._saved:
            return
        s = self._settings
        store.write(keys.log(s.run, self._stage, s.attempt, self._member, self._segment), lines)
        self._saved = len(lines)
        if len(lines) > _SEGMENT_BYTES:
            with self.lock or threading.Lock():
                del self._lines[: len(lines)]
            self._segment, self._saved = self._segment + 1, 0
