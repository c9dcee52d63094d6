"""The environment of the peers: made once from pinned versions, in the user's cache, apart from Slipway's own.

The packages are no dependencies of Slipway, and none of its modules imports them: a peer runs as a process.
"""

import hashlib
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

from tests.benchmarks.quality.processes import run_command

_PACKAGES = Path(__file__).parent / "peers/packages.txt"


def cache_folder() -> Path:
    """Return the folder of everything that the benchmark keeps between two commands."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "slipway/benchmarks"


@cache
def python_of_peers() -> Path:
    """Return the interpreter of the peers' environment, which is made first if it is not there.

    Raises:
      CommandFailed: A package cannot be installed.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    digest = hashlib.sha256(_PACKAGES.read_bytes() + version.encode()).hexdigest()
    folder = cache_folder() / f"peers-{digest[:12]}"
    python = folder / "bin/python"
    if not (folder / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        uv = Path(sys.executable).with_name("uv")
        install = [uv, "pip", "install", "--python", python, "--no-deps", "--compile-bytecode", "-r", _PACKAGES]
        run_command(install, folder, folder / "install.log")
        (folder / "complete").touch()
    return python
