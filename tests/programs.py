"""The programs that tests start, and the skip or failure of a test whose program is missing.

`.ci/programs` installs those of `.ci/programs.txt`. A test without its program is skipped, so that `make test` runs on
any machine. `.ci/run` lists in SLIPWAY_REQUIRE_PROGRAMS what it has installed: a test that lacks one of these fails.
"""

import os
import shutil
import sys
from pathlib import Path

import pytest

# The folder into which `.ci/programs` builds; the Makefile names it, too.
BUILT = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "slipway/bin"

_OTHER_NAMES = {"chromium": ("chromium-browser", "google-chrome")}


def add_to_path() -> None:
    """Put the folder of built programs on PATH, for the tests and the processes that they start."""
    os.environ["PATH"] = os.pathsep.join([str(BUILT), os.environ.get("PATH", os.defpath)])


def find(name: str) -> str | None:
    """Return a program's path: on PATH, or beside this Python, where pip puts rclone."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    names = (name, *_OTHER_NAMES.get(name, ()))
    return next((program for each in names if (program := shutil.which(each, path=path))), None)


def require(name: str) -> str:
    """Return a program's path; where it is missing, skip the test, or fail it if SLIPWAY_REQUIRE_PROGRAMS names it."""
    if program := find(name):
        return program
    if name in os.environ.get("SLIPWAY_REQUIRE_PROGRAMS", "").split():
        pytest.fail(f"{name} is required and not on PATH: run .ci/programs")
    pytest.skip(f"{name} is not on PATH")
