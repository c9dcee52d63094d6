from pathlib import Path

import pytest

from slipway.errors import SpecError
from slipway.settings import Settings

NEEDED = {"SLIPWAY_STORE": "out", "SLIPWAY_RUN": "ponds-1"}


def test_the_defaults_are_a_pods(monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", "/tmp")
    assert Settings.read(NEEDED) == Settings(
        store="out",
        run="ponds-1",
        attempt=1,
        index=0,
        scratch=Path("/tmp"),
        termination_log=Path("/dev/termination-log"),
        log_format="text",
        dies_with_parent=False,
    )


def test_every_variable_is_read():
    given = {
        "SLIPWAY_ATTEMPT": "3",
        "JOB_COMPLETION_INDEX": "4",
        "SLIPWAY_SCRATCH": "/scratch",
        "SLIPWAY_TERMINATION_LOG": "/reason",
        "SLIPWAY_LOG_FORMAT": "json",
        "SLIPWAY_DIES_WITH_PARENT": "1",
    }
    assert Settings.read(NEEDED | given) == Settings(
        "out", "ponds-1", 3, 4, Path("/scratch"), Path("/reason"), "json", True
    )


@pytest.mark.parametrize("missing", ["SLIPWAY_STORE", "SLIPWAY_RUN"])
def test_what_is_needed_is_named(missing):
    with pytest.raises(SpecError, match=f"{missing} is not set"):
        Settings.read({name: value for name, value in NEEDED.items() if name != missing})


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("SLIPWAY_ATTEMPT", "two", "SLIPWAY_ATTEMPT is 'two', expected a whole number"),
        ("JOB_COMPLETION_INDEX", "-1", "JOB_COMPLETION_INDEX is '-1', expected a whole number"),
        ("SLIPWAY_LOG_FORMAT", "xml", "SLIPWAY_LOG_FORMAT is 'xml', expected text or json"),
    ],
)
def test_a_wrong_value_is_named_with_the_right_ones(variable, value, says):
    with pytest.raises(SpecError, match=says):
        Settings.read(NEEDED | {variable: value})
