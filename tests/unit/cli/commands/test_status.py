import json
import threading
import time

import pytest

from slipway import keys
from tests.unit.cli.commands.conftest import BEST, STAGE_DONE, finish
from tests.unit.cli.conftest import slipway

from services.cli.commands import status as command
from services.cli.remote import run_events
from services.cli.remote.answers import Run
from services.cli.remote.client import Api
from services.cli.remote.run_events import changes

pytestmark = pytest.mark.usefixtures("logged_in")


def test_runs_are_listed_with_state_progress_and_ap(ponds, cluster, capsys):
    cluster.report("ponds", state="RUNNING", stage="train", progress="20/30 steps", best=BEST)
    capsys.readouterr()
    assert slipway("status") == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if "RUNNING" in line)
    assert row.split() == [
        *("ponds", "RUNNING", "train", "20/30", "steps", "0.834"),
        *("s3://photos/ponds", "2026-01-31T12:00:00Z"),
    ]


def test_runs_are_listed_over_pages_up_to_a_limit(cluster, run_file, monkeypatch, capsys):
    monkeypatch.setattr(command, "_PAGE", 2)
    for name in ("a", "b", "c", "d", "e"):
        assert slipway("submit", run_file, "--name", name) == 0
    capsys.readouterr()
    assert slipway("status", "--json", "--limit", 3) == 0
    names = [run["metadata"]["name"] for run in json.loads(capsys.readouterr().out)["items"]]
    assert len(names) == 3
    assert slipway("status", "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["items"]) == 5


def test_no_runs_are_told(capsys):
    assert slipway("status") == 0
    assert capsys.readouterr().out == "no runs\n"


def test_one_run_is_shown_with_its_stages(ponds, cluster, capsys):
    running = {"phase": "running", "attempt": 2, "startedAt": "2026-01-31T12:01:05Z"}
    stages = {"ingest": STAGE_DONE, "train": running, "preprocess": STAGE_DONE}
    cluster.report("ponds", state="RUNNING", stage="train", progress="20/30 steps", best=BEST, stages=stages)
    capsys.readouterr()
    assert slipway("status", "ponds") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "run ponds: RUNNING"
    shown = [line.split()[:3] for line in lines if {"done", "running"} & set(line.split())]
    assert shown == [["ingest", "done", "1"], ["preprocess", "done", "1"], ["train", "running", "2"]]
    assert lines[-1] == "best so far: AP50 0.834, AP 0.512, step 20"


def test_an_unknown_run_is_told(capsys):
    assert slipway("status", "nobody") == 65
    assert "nobody" in capsys.readouterr().err


def test_all_runs_cannot_be_watched(capsys):
    assert slipway("status", "--watch") == 65
    assert "name it: slipway status RUN --watch" in capsys.readouterr().err


def test_a_watched_run_is_shown_like_a_local_one_and_leaves_with_its_code(ponds, cluster, capsys):
    def work():
        moments = (
            {"state": "QUEUED", "reason": "waits for a GPU"},
            {"state": "RUNNING", "reason": None, "stage": "train", "progress": "10/30 steps"},
            {"stages": {"train": STAGE_DONE}, "best": BEST},
        )
        for status in moments:
            cluster.report("ponds", **status)
            time.sleep(0.5)  # of which the watcher takes a hundredth, on a machine that has nothing else to do
        finish(cluster)

    thread = threading.Thread(target=work)
    capsys.readouterr()
    thread.start()
    assert slipway("status", "ponds", "--watch") == 0
    thread.join()
    lines = capsys.readouterr().out.splitlines()
    assert "ponds: QUEUED: waits for a GPU" in lines
    assert "train: done in 1 min 5 s" in lines
    assert "train: 10/30 steps" in lines
    assert lines[-2:] == [
        "ponds: SUCCEEDED",
        "AP50 0.834, AP 0.512, step 20; fetch it with: slipway artifacts ponds --out DIR",
    ]


def test_a_watched_run_that_fails_leaves_with_its_stages_code(ponds, cluster, store, capsys):
    store.write(keys.failure("ponds", "ingest"), json.dumps({"attempt": 1, "code": 75, "reason": "full"}).encode())
    stages = {"ingest": {"phase": "failed", "attempt": 1, "reason": "full"}}
    finish(cluster, "FAILED", stage="ingest", reason="the store is full", stages=stages)
    assert slipway("status", "ponds", "--watch") == 75
    assert capsys.readouterr().err == "failed: ingest: the store is full\n"


@pytest.mark.parametrize(("state", "code"), [("FAILED", 1), ("CANCELED", 65)])
def test_a_watched_run_that_left_no_code_is_not_taken_for_a_success(ponds, cluster, state, code):
    stages = {"train": {"phase": "failed", "attempt": 1}}
    finish(cluster, state, stage="train", stages=stages)
    assert slipway("status", "ponds", "--watch") == code


def test_a_submitted_run_can_be_watched(run_file, cluster, capsys, monkeypatch):
    watched = threading.Event()
    monkeypatch.setattr(run_events, "changes", lambda before, now: watched.set() or changes(before, now))
    thread = threading.Thread(target=lambda: watched.wait(60) and finish(cluster))
    thread.start()
    assert slipway("submit", run_file, "--watch") == 0
    thread.join()
    assert capsys.readouterr().out.splitlines()[:3] == ["run ponds", "ponds: PENDING", "ponds: SUCCEEDED"]


def test_a_retry_that_was_heard_before_a_break_is_no_failure(ponds, cluster, monkeypatch):
    finish(cluster, "FAILED")
    real_json = Api.json

    def send_twice(api, call):
        if call.path.endswith(":retry"):
            real_json(api, call)
        return real_json(api, call)

    monkeypatch.setattr(Api, "json", send_twice)
    assert slipway("retry", "ponds") == 0
    assert cluster.objects["ponds"]["spec"]["attempt"] == 2


def test_a_watched_run_in_json_ends_with_its_outcome(ponds, cluster, capsys):
    finish(cluster, best=BEST)
    capsys.readouterr()
    assert slipway("status", "ponds", "--watch", "--json") == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {"event": "state", "state": "SUCCEEDED", "reason": ""} in events
    assert {"event": "evaluated", "stage": "train", **BEST} in events
    assert {"event": "run_over", "run": "ponds", "state": "SUCCEEDED", "code": 0}.items() <= events[-1].items()


def test_nothing_new_is_nothing_to_show():
    status = {"state": "RUNNING", "stage": "train", "progress": "1/2 steps", "stages": {"ingest": STAGE_DONE}}
    run = Run.model_validate({"metadata": {"name": "ponds"}, "status": status})
    assert list(changes(run, run)) == []
