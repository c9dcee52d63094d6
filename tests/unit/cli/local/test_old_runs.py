"""Runs in the folder of version 0.1.0: a finished one is shown, a half one is continued, retention lists them."""

import shutil
from pathlib import Path

import pytest

from slipway import keys
from slipway.run.pipeline import State
from slipway.run.run_file import load_run
from slipway.store.folder import FolderStore
from tests.unit.cli.conftest import slipway

from services.cli.local.runner import Outcome, run_local
from services.cli.screen.summary import print_success, summarize

OLD = Path(__file__).parents[3] / "fakes" / "documents"


@pytest.fixture
def store(tmp_path):
    shutil.copytree(OLD, tmp_path / "out")
    return FolderStore(tmp_path / "out")


def content(store):
    return {item.key: store.read(item.key) for item in store.scan("")}


def test_a_finished_run_is_shown_and_nothing_is_written(store, fake_stages, capsys):
    run, before = load_run("harbour", store), content(store)
    outcome = run_local(run, store, print)
    print_success(summarize(store, "harbour", run.spec, outcome))
    shown = capsys.readouterr().out.splitlines()
    assert outcome == Outcome(State.SUCCEEDED, is_new=False)
    assert content(store) == before
    assert shown[0] == f"nothing to do: finished {store.root}/runs/harbour"
    figures, warning, report = shown[-3:]
    assert figures == "AP50 0.182 on test, step 20"
    assert warning.startswith("AP50 is 0.18, below 0.5: do not rely on this detector")
    assert report == f"report: {store.root}/runs/harbour/report.html"


def test_a_run_that_was_stopped_in_its_training_is_continued_there(store, fake_stages):
    for stage in ("train", "export", "detect"):
        store.delete(keys.result("harbour", stage))
    store.delete(keys.best("harbour"))
    events = []
    outcome = run_local(load_run("harbour", store), store, events.append)
    assert (outcome.state, list(outcome.durations)) == (State.SUCCEEDED, ["train", "export", "detect"])
    stages = [
        (event["event"], event["stage"]) for event in events if event["event"] in ("stage_skipped", "stage_begun")
    ]
    assert stages == [
        ("stage_skipped", "ingest"),
        ("stage_skipped", "preprocess"),
        ("stage_begun", "train"),
        ("stage_begun", "export"),
        ("stage_begun", "detect"),
    ]


def test_retention_lists_them(store, capsys):
    before = content(store)
    assert slipway("gc", "--store", store.root, "--dry-run", "--runs", "0m", "--unfinished") == 0
    removed = {line.split(",")[0] for line in capsys.readouterr().err.splitlines()}
    assert removed >= {f"would remove run {name}" for name in ("harbour", "ponds", "ponds-failed", "refused")}
    assert content(store) == before
