"""The log: one event per line, with fixed names and units in the names of fields."""

import json
import logging
import re
import sys
import threading
from types import TracebackType
from typing import Any

from slipway.text import timestamp

_LOGGER = logging.getLogger("slipway.events")
_PLAIN = re.compile(r"[^\s\"'=]+")
_PAIR = re.compile(r"(?P<key>\w+)=(?P<value>\"(?:[^\"\\]|\\.)*\"|[^\s\"]*)(?=\s|$)")


def event(name: str, level: int = logging.INFO, /, **fields: Any) -> None:
    """Log one event; a field that is None is left out."""
    _LOGGER.log(level, name, extra={"fields": {k: v for k, v in fields.items() if v is not None}})


def start_log(stage: str, run: str, log_format: str) -> logging.Logger:
    """Send events, warnings of libraries and uncaught exceptions to standard error; return the root logger."""
    root = logging.getLogger()
    handler = logging.StreamHandler()
    handler.setFormatter(EventFormatter(stage, run, log_format))
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("slipway").setLevel(logging.INFO)
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda error: _log_uncaught(error.exc_type, error.exc_value, error.exc_traceback)
    sys.unraisablehook = lambda error: _log_uncaught(error.exc_type, error.exc_value, error.exc_traceback)
    return root


def _log_uncaught(kind: type[BaseException], error: BaseException | None, traceback: TracebackType | None) -> None:
    """Log an uncaught exception on one line, where Python itself would print many."""
    if not issubclass(kind, SystemExit):  # it ends a thread without an error
        exception = (kind, error or kind(), traceback)
        logging.getLogger("slipway").critical("%s: %s", kind.__name__, error, exc_info=exception)


class EventFormatter(logging.Formatter):
    """`time LEVEL stage run= event= key=value…`, or the same as one JSON object."""

    def __init__(self, stage: str, run: str, log_format: str) -> None:
        super().__init__()
        self._stage, self._run, self._json = stage, run, log_format == "json"

    def format(self, record: logging.LogRecord) -> str:
        moment = timestamp(record.created)
        fields = {"run": self._run, **self._event(record)}
        if self._json:
            return json.dumps({"time": moment, "level": record.levelname, "stage": self._stage, **fields}, default=str)
        pairs = " ".join(f"{key}={_text(value)}" for key, value in fields.items())
        return f"{moment} {record.levelname} {self._stage} {pairs}"

    def _event(self, record: logging.LogRecord) -> dict[str, Any]:
        fields = getattr(record, "fields", {})
        if record.name == _LOGGER.name:
            return {"event": record.getMessage(), **fields}
        traceback = {"traceback": self.formatException(record.exc_info)} if record.exc_info else {}
        return {"event": "log", "logger": record.name, "message": record.getMessage(), **fields, **traceback}


def parse_event(line: str) -> dict[str, str]:
    """Read the fields of a line that `EventFormatter` wrote as text; {} for any other line."""
    head, _, rest = line.partition(" run=")
    words = head.split(" ")
    if len(words) != 3:
        return {}
    pairs = {m["key"]: _value(m["value"]) for m in _PAIR.finditer(f"run={rest}")}
    return {"level": words[1], "stage": words[2], **pairs} if "event" in pairs else {}


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def _value(text: str) -> str:
    return str(json.loads(text)) if text.startswith('"') else text
