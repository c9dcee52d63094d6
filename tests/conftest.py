"""What holds for every test."""

import logging
import sys
import threading
from collections import Counter
from collections.abc import Iterator

import pytest

from slipway.events import EventFormatter
from tests import programs

programs.add_to_path()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print why tests were skipped, each reason once."""
    reasons = Counter(report.longrepr[2] for report in terminalreporter.stats.get("skipped", []))
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"{count} skipped: {reason.removeprefix('Skipped: ')}")


@pytest.fixture(autouse=True)
def log_ends_with_the_test() -> Iterator[None]:
    """Take away what `start_log` put in place: its stream is the test's own, and closed after it."""
    level = logging.getLogger("slipway").level
    hooks = (sys.excepthook, threading.excepthook, sys.unraisablehook)
    yield
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    root = logging.getLogger()
    for handler in [*root.handlers]:
        if isinstance(handler.formatter, EventFormatter):
            root.removeHandler(handler)
    logging.getLogger("slipway").setLevel(level)
    logging.captureWarnings(False)
