"""A run of the API, as the tests of several commands need it."""

import pytest

from tests.unit.cli.conftest import slipway

STAGE_DONE = {"phase": "done", "attempt": 1, "startedAt": "2026-01-31T12:00:00Z", "finishedAt": "2026-01-31T12:01:05Z"}
BEST = {"step": 20, "AP": 0.512, "AP50": 0.834}


@pytest.fixture
def run_file(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text(
        "apiVersion: slipway.dev/v1alpha1\nkind: TrainingRun\nmetadata: {name: ponds}\n"
        "spec:\n  dataset: {source: 's3://photos/ponds'}\n  train: {steps: 30}\n"
    )
    return file


@pytest.fixture
def ponds(run_file, logged_in):
    """The name of a run that was submitted."""
    assert slipway("submit", run_file) == 0
    return "ponds"


def finish(cluster, state="SUCCEEDED", **status):
    cluster.report("ponds", state=state, settled=1, **status)
