import json
import threading
import time

import pytest

from slipway import keys
from slipway.errors import SpecError
from tests.unit.cli.conftest import slipway

from services.cli.commands import status as command
from services.cli.commands.submit import SubmitRequest, read_body
from services.cli.remote import credentials
from services.cli.remote.answers import Run
from services.cli.remote.client import Api
from services.cli.remote.run_events import changes

SPEC = {"dataset": {"source": "s3://photos/ponds"}}
DONE = {"phase": "done", "attempt": 1, "startedAt": "2026-01-31T12:00:00Z", "finishedAt": "2026-01-31T12:01:05Z"}
BEST = {"step": 20, "AP": 0.512, "AP50": 0.834}

pytestmark = pytest.mark.usefixtures("logged_in")


@pytest.fixture
def file(tmp_path):
    made = tmp_path / "run.yaml"
    made.write_text(
        "apiVersion: slipway.dev/v1alpha1\nkind: TrainingRun\nmetadata: {name: ponds}\n"
        "spec:\n  dataset: {source: 's3://photos/ponds'}\n  train: {steps: 30}\n"
    )
    return made


@pytest.fixture
def ponds(file, cluster):
    """A run that was submitted."""
    assert slipway("submit", file) == 0
    return "ponds"


def finish(cluster, state="SUCCEEDED", **status):
    cluster.report("ponds", state=state, settled=1, **status)


# Submit


def test_a_run_file_becomes_a_run(file, cluster, capsys):
    assert slipway("submit", file) == 0
    assert capsys.readouterr().out == "run ponds\nfollow it with: slipway status ponds --watch\n"
    assert cluster.objects["ponds"]["spec"]["train"]["steps"] == 30


def test_the_same_file_submitted_again_is_the_same_run(file, cluster, capsys):
    assert [slipway("submit", file), slipway("submit", file)] == [0, 0]
    assert capsys.readouterr().out.splitlines()[-1] == "run ponds was submitted before; it is PENDING"
    assert len(cluster.objects) == 1


def test_a_file_without_a_name_is_one_run_too(file, cluster):
    file.write_text(file.read_text().replace("metadata: {name: ponds}\n", ""))
    assert [slipway("submit", file), slipway("submit", file)] == [0, 0]
    assert len(cluster.objects) == 1


def test_another_key_is_another_run(file, cluster):
    file.write_text(file.read_text().replace("metadata: {name: ponds}\n", ""))
    assert [slipway("submit", file, "--idempotency-key", key) for key in "ab"] == [0, 0]
    assert len(cluster.objects) == 2


def test_a_name_that_is_given_wins(file, cluster):
    assert slipway("submit", file, "--name", "other") == 0
    assert list(cluster.objects) == ["other"]


def test_a_name_that_is_taken_is_told(ponds, file, capsys):
    assert slipway("submit", file, "--idempotency-key", "another") == 65
    assert "there is a run ponds; give this one another name" in capsys.readouterr().err


def test_a_wrong_field_is_told_with_its_pointer(file, capsys):
    file.write_text(file.read_text().replace("steps: 30", "steps: 30, preset: yolo"))
    assert slipway("submit", file) == 65
    said = capsys.readouterr().err
    assert "/spec/train/preset: there is no preset 'yolo'; valid: retinanet_mobilenetv2_320, " in said
    assert "Traceback" not in said


def test_json_is_the_run(file, capsys):
    assert slipway("submit", file, "--json") == 0
    assert json.loads(capsys.readouterr().out)["metadata"]["name"] == "ponds"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [", "not YAML"),
        ("- a", "not a TrainingRun"),
        ("spec: {train: {learningRate: .nan}}", "a value that JSON cannot express"),
        ("? [a, b]\n: c", "not YAML"),
        ("spec: {dataset: {source: ./ponds}}", "slipway dataset push ./ponds"),
    ],
)
def test_a_file_that_cannot_be_a_run_is_told_before_anything_is_sent(tmp_path, text, says):
    file = tmp_path / "a.yaml"
    file.write_text(text)
    with pytest.raises(SpecError, match=says):
        read_body(SubmitRequest(file))


def test_a_date_in_a_file_is_its_text(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text("metadata: {name: 2026-01-31}")
    assert read_body(SubmitRequest(file)) == {"metadata": {"name": "2026-01-31"}}


def test_a_file_that_is_absent_is_told(tmp_path, capsys):
    assert slipway("submit", tmp_path / "none.yaml") == 65
    assert "none.yaml: cannot be read" in capsys.readouterr().err


def test_no_server_is_75(file, monkeypatch, capsys):
    monkeypatch.setenv("SLIPWAY_API_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(credentials, "PATIENCE_SEC", 0.05)
    assert slipway("submit", file) == 75
    assert "no answer" in capsys.readouterr().err


# Status


def test_runs_are_listed_with_state_progress_and_ap(ponds, cluster, capsys):
    cluster.report("ponds", state="RUNNING", stage="train", progress="20/30 steps", best=BEST)
    capsys.readouterr()
    assert slipway("status") == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if "RUNNING" in line)
    assert row.split() == [
        *("ponds", "RUNNING", "train", "20/30", "steps", "0.834"),
        *("s3://photos/ponds", "2026-01-31T12:00:00Z"),
    ]


def test_runs_are_listed_over_pages_up_to_a_limit(cluster, file, monkeypatch, capsys):
    monkeypatch.setattr(command, "_PAGE", 2)
    for name in ("a", "b", "c", "d", "e"):
        assert slipway("submit", file, "--name", name) == 0
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
    stages = {"ingest": DONE, "train": running, "preprocess": DONE}
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
            {"stages": {"train": DONE}, "best": BEST},
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


def test_a_submitted_run_can_be_watched(file, cluster, capsys):
    thread = threading.Timer(0.2, finish, [cluster])
    thread.start()
    assert slipway("submit", file, "--watch") == 0
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
    status = {"state": "RUNNING", "stage": "train", "progress": "1/2 steps", "stages": {"ingest": DONE}}
    run = Run.model_validate({"metadata": {"name": "ponds"}, "status": status})
    assert list(changes(run, run)) == []


# Cancel, suspend, resume, retry


@pytest.mark.parametrize(("verb", "field"), [("cancel", "cancel"), ("suspend", "suspend")])
def test_a_run_is_told_to(ponds, cluster, capsys, verb, field):
    assert slipway(verb, "ponds") == 0
    assert cluster.objects["ponds"]["spec"][field] is True
    assert f"run ponds: {verb} is asked for" in capsys.readouterr().out


def test_a_suspended_run_is_resumed(ponds, cluster):
    assert [slipway("suspend", "ponds"), slipway("resume", "ponds")] == [0, 0]
    assert cluster.objects["ponds"]["spec"]["suspend"] is False


def test_a_failed_run_is_tried_again(ponds, cluster, capsys):
    finish(cluster, "FAILED")
    assert slipway("retry", "ponds", "--json") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["spec"]["attempt"] == 2


def test_what_a_runs_state_forbids_is_told(ponds, capsys):
    assert slipway("retry", "ponds") == 65
    assert "only a run that has failed is started again" in capsys.readouterr().err


# Logs


def log(store, stage, member, text):
    store.write(keys.log("ponds", stage, 1, f"{member}-0-1700000000-7", 0), text.encode())


def test_logs_are_printed_stage_by_stage(ponds, store, capsys):
    log(store, "train", "train", "three\n")
    log(store, "ingest", "ingest", "one\x1b[2J\ntwo\n")
    capsys.readouterr()
    assert slipway("logs", "ponds") == 0
    assert capsys.readouterr().out == "one�[2J\ntwo\nthree\n"
    assert slipway("logs", "ponds", "--stage", "train") == 0
    assert capsys.readouterr().out == "three\n"


def test_an_unknown_stage_is_told_with_those_there_are(ponds, capsys):
    assert slipway("logs", "ponds", "--stage", "lunch") == 65
    assert "stage: " in (said := capsys.readouterr().err)
    assert "valid: ingest, preprocess, train, evaluate, export, detect" in said


def test_followed_logs_end_with_the_run(ponds, cluster, store, capsys):
    def work():
        for number in range(3):
            log(store, "ingest", "ingest", "".join(f"line {n}\n" for n in range(number + 1)))
            time.sleep(0.05)
        finish(cluster)

    thread = threading.Thread(target=work)
    capsys.readouterr()
    thread.start()
    assert slipway("logs", "ponds", "-f") == 0
    thread.join()
    assert capsys.readouterr().out == "line 0\nline 1\nline 2\n"
