import json
import logging
import subprocess
import sys

import pytest

from slipway.events import EventFormatter, event, parse_event, start_log


@pytest.fixture
def formatted(request):
    """Format one event the way a stage's standard error gets it."""

    def format_event(name, log_format="text", level=logging.INFO, **fields):
        record = logging.LogRecord("slipway.events", level, "", 0, name, None, None)
        record.created, record.fields = 1_769_860_800.0, fields
        return EventFormatter("train", "ponds-1", log_format).format(record)

    return format_event


def test_an_event_is_one_line_of_words_and_pairs(formatted):
    assert formatted("step", step=10, loss=0.41234567) == (
        "2026-01-31T12:00:00Z INFO train run=ponds-1 event=step step=10 loss=0.412346"
    )


def test_an_event_is_one_json_object(formatted):
    assert json.loads(formatted("step", "json", step=10)) == {
        "time": "2026-01-31T12:00:00Z",
        "level": "INFO",
        "stage": "train",
        "run": "ponds-1",
        "event": "step",
        "step": 10,
    }


@pytest.mark.parametrize(
    "value",
    [
        "plain",
        "",
        "two words",
        'with "quotes"',
        "a=b",
        "line\nbreak",
        "back\\slash",
        "näme ü.jpg",
        "it's",
        "tab\t",
        "a]b[c",
    ],
)
def test_any_text_is_read_back(formatted, value):
    line = formatted("log", file=value, after="1")
    assert "\n" not in line
    assert parse_event(line) == {
        "level": "INFO",
        "stage": "train",
        "run": "ponds-1",
        "event": "log",
        "file": value,
        "after": "1",
    }


@pytest.mark.parametrize(
    "line",
    ["", "Epoch 1/3", "2026-01-31 12:00:00 INFO started", "W0000 cpu_feature_guard run= of AVX", "a b c run=x other=y"],
)
def test_any_other_line_is_no_event(line):
    assert parse_event(line) == {}


def test_an_event_goes_to_standard_error_without_its_empty_fields(capsys):
    root = logging.getLogger()
    before = (root.handlers, root.level)
    try:
        start_log("ingest", "ponds-1", "text")
        event("images_checked", images=3, skipped=None)
    finally:
        logging.captureWarnings(False)
        root.handlers, root.level = before
    assert capsys.readouterr().err.endswith(" INFO ingest run=ponds-1 event=images_checked images=3\n")


def test_a_traceback_stays_on_the_line_of_its_event(formatted):
    try:
        raise ZeroDivisionError("by nothing")
    except ZeroDivisionError as error:
        record = logging.LogRecord(
            "slipway", logging.ERROR, "", 0, "oh", None, (type(error), error, error.__traceback__)
        )
    line = EventFormatter("train", "ponds-1", "text").format(record)
    assert "\n" not in line
    assert "ZeroDivisionError: by nothing" in parse_event(line)["traceback"]


SCRIPT = """
import logging, threading, warnings
from slipway.events import event, start_log

class Lost:
    def __del__(self):
        raise ValueError("lost\\nhere")

def fail():
    raise ValueError("in a thread\\nhere")

start_log("train", "ponds-1", "{}")
event("step", note="two\\nlines")
warnings.warn("old\\nway")
logging.getLogger("uvicorn.error").error("not\\nserved")
logging.getLogger("kopf.objects").warning("not\\nwatched")
Lost()
thread = threading.Thread(target=fail)
thread.start()
thread.join()
threading.Thread(target=lambda: exit(3)).start()
raise ValueError("at the end\\nof it")
"""


@pytest.mark.parametrize(("log_format", "parsed"), [("json", json.loads), ("text", parse_event)])
def test_whatever_a_process_says_is_one_event_a_line_with_the_run(log_format, parsed):
    script = [sys.executable, "-c", SCRIPT.replace("{}", log_format)]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    events = [parsed(line) for line in done.stderr.splitlines()]
    said = [event.get("note") or event["message"] for event in events]
    expected = ["two\nlines", "old\nway", "not\nserved", "not\nwatched", "lost\nhere", "a thread\nhere", "end\nof it"]
    assert [part for part, text in zip(expected, said, strict=True) if part not in text] == []
    assert [event["logger"] for event in events[1:4]] == ["py.warnings", "uvicorn.error", "kopf.objects"]
    assert {event["run"] for event in events} == {"ponds-1"}
    assert done.returncode == 1


def test_what_a_library_logs_of_a_run_keeps_the_run(formatted):
    record = logging.LogRecord("slipway", logging.ERROR, "", 0, "a reconciliation failed", None, None)
    record.fields = {"run": "lakes"}
    assert json.loads(EventFormatter("controller", "", "json").format(record))["run"] == "lakes"
