"""An earlier version of Slipway, for the tests of an upgrade: a checkout with its environment.

EARLIER is the checkout's folder, in which `make .venv/.ready` was run. EARLIER_TAG is the tag of its images.
"""

import os
from pathlib import Path

import pytest


def checkout() -> Path:
    """Return the checkout's folder; without one, skip the test."""
    folder = os.environ.get("EARLIER")
    if not folder:
        pytest.skip("EARLIER does not name a checkout of an earlier version")
    return Path(folder)


def image_tag() -> str:
    """Return the tag of the earlier version's images; without one, skip the test."""
    tag = os.environ.get("EARLIER_TAG")
    if not tag:
        pytest.skip("EARLIER_TAG does not name the images of an earlier version")
    return tag


def command(folder: Path) -> str:
    """Return the path of the earlier version's command.

    Raises:
      FileNotFoundError: The checkout has no environment.
    """
    path = folder.resolve() / ".venv/bin/slipway"
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; run `make .venv/.ready` in {folder}")
    return str(path)
