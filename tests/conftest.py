"""Settings and fixtures of all tests."""

import gc
import logging
import sys
import threading
from collections import Counter
from collections.abc import Iterator

import pytest

from slipway.events import EventFormatter
from tests import programs

programs.add_to_path()

# The modules that take longest, in the order to begin them: behind one that is begun last, the other worker has nothing
# to do. A worker runs whole modules, so that what their tests share is made once.
_LONGEST = ("test_pipeline", "test_workers", "test_export", "test_faults", "test_initial_checkpoint", "test_serving")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the modules: those that train first, the longest of them at the start."""
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    if item.path.parent.name != "integration":
        return len(_LONGEST) + 1
    return _LONGEST.index(item.path.stem) if item.path.stem in _LONGEST else len(_LONGEST)


@pytest.fixture(scope="module", autouse=True)
def exclude_imports_from_garbage_collection() -> Iterator[None]:
    """Exclude the objects of imported modules from garbage collection, which would traverse TensorFlow repeatedly."""
    yield
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the reason of each skip, once."""
    reasons = Counter(report.longrepr[2] for report in terminalreporter.stats.get("skipped", []))
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"{count} skipped: {reason.removeprefix('Skipped: ')}")


@pytest.fixture(autouse=True)
def end_the_log_with_the_test() -> Iterator[None]:
    """Remove the handlers and hooks of `start_log`, whose stream belongs to the test and is closed after it."""
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
