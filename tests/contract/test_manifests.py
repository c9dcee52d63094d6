"""The generated files are those that `make manifests` would write."""

import re
import subprocess
from pathlib import Path

from tests.programs import require

ROOT = Path(__file__).parents[2]


def test_the_output_of_make_manifests_is_not_stale():
    """Runs each of the target's commands, and compares instead of writing."""
    require("make")
    require("helm")
    recipe = subprocess.run(["make", "-n", "manifests"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    written = dict(reversed(found) for found in re.findall(r"(?m)^(.+) > (\S+)$", recipe))
    assert sorted(written) == [
        "charts/slipway/files/crd.yaml",
        "manifests/base/crd.yaml",
        "manifests/jobs/jobs.yaml",
        "manifests/overlays/dev/all.yaml",
        "manifests/overlays/gpu/all.yaml",
    ]
    for file, command in written.items():
        done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout == (ROOT / file).read_text(), f"{file} is stale: run make manifests"
