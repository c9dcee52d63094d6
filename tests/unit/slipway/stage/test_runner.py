import errno
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress

import pytest

from slipway import keys
from slipway.artifacts.training import TrainResult
from slipway.errors import InputError, MissingKey, Stopped, StoreUnavailable
from slipway.events import event
from slipway.metrics import stage_gauges
from slipway.run.run_file import begin_run, parse_run
from slipway.stage import log_saver
from slipway.stage import metric_snapshots as snapshots
from slipway.stage.runner import run_stage, write_result
from slipway.store.folder import FolderStore
from slipway.store.interface import list_keys

RUN = parse_run("{metadata: {name: ponds-1}, spec: {dataset: {source: s3://b/ponds}}}", "run.yaml")


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A begun run, and the environment that a stage of it gets; the process is left as it was."""
    store = FolderStore(tmp_path / "store")
    begin_run(RUN, store)
    for name, value in {
        "SLIPWAY_STORE": store.url,
        "SLIPWAY_RUN": "ponds-1",
        "SLIPWAY_ATTEMPT": "2",
        "JOB_COMPLETION_INDEX": "1",
        "SLIPWAY_SCRATCH": str(tmp_path / "scratch"),
        "SLIPWAY_TERMINATION_LOG": str(tmp_path / "reason"),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("SLIPWAY_DIES_WITH_PARENT", raising=False)
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "2")
    root = logging.getLogger()
    before = (root.handlers, root.level, signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT))
    yield store
    logging.captureWarnings(False)
    root.handlers, root.level = before[:2]
    signal.signal(signal.SIGTERM, before[2])
    signal.signal(signal.SIGINT, before[3])


def raising(error):
    def stage(_params, _store):
        raise error

    return stage


def log(store):
    return "".join(store.read(key).decode() for key in list_keys(store, keys.logs("ponds-1")))


def test_a_stage_gets_its_run_its_index_and_an_empty_folder(store):
    seen = []

    def stage(params, given):
        seen.append((params.name, params.index, list(params.scratch.iterdir()), given.url))

    assert run_stage("ingest", stage) == 0
    assert seen == [("ponds-1", 1, [], store.url)]


def test_the_scratch_folder_is_gone_after_the_stage(store, tmp_path):
    def stage(params, _store):
        (params.scratch / "large").write_bytes(b"0" * 1000)

    run_stage("ingest", stage)
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        pytest.param(InputError("a.xml: no boxes"), 65, "a.xml: no boxes", id="input"),
        pytest.param(InputError("caf\udce9.xml: no boxes"), 65, r"caf\udce9.xml: no boxes", id="name-of-bytes"),
        pytest.param(StoreUnavailable("no room"), 75, "no room", id="store"),
        pytest.param(Stopped("stopped at step 7"), 75, "stopped at step 7", id="stopped"),
        pytest.param(MissingKey("a: no such key"), 1, "a: no such key", id="missing-key"),
        pytest.param(
            OSError(errno.ENOSPC, "No space left on device", "/x"), 75, "No space left on device: /x", id="disk"
        ),
        pytest.param(KeyError("x"), 1, "KeyError: 'x' (a bug in slipway; the log has the traceback)", id="bug"),
    ],
)
def test_an_error_becomes_an_exit_code_and_a_reason(store, tmp_path, error, code, reason):
    assert run_stage("ingest", raising(error)) == code
    assert (tmp_path / "reason").read_text() == reason


def test_a_stage_that_is_done_leaves_no_reason(store, tmp_path):
    run_stage("ingest", lambda _params, _store: None)
    assert not (tmp_path / "reason").exists()


def test_a_reason_is_cut_to_what_kubernetes_keeps(store, tmp_path):
    run_stage("ingest", raising(InputError("x" * 10_000)))
    assert len((tmp_path / "reason").read_text()) == 4000


def test_a_reason_that_cannot_be_written_changes_no_exit_code(store, monkeypatch):
    monkeypatch.setenv("SLIPWAY_TERMINATION_LOG", "/nowhere/reason")
    assert run_stage("ingest", raising(InputError("x"))) == 65


def test_the_log_is_kept_in_the_store_by_stage_and_attempt(store):
    def stage(_params, _store):
        event("images_checked", images=3)

    run_stage("ingest", stage)
    [key] = list_keys(store, keys.logs("ponds-1"))
    assert key.startswith("runs/ponds-1/logs/ingest/2/ingest-1-")
    names = [line.split("event=")[1].split()[0] for line in log(store).splitlines()]
    assert names == ["stage_started", "images_checked", "stage_ended"]


def test_a_bug_leaves_its_traceback_in_the_log(store):
    run_stage("ingest", raising(ZeroDivisionError("by nothing")))
    assert "Traceback (most recent call last)" in log(store)


def test_a_long_log_is_kept_in_segments_without_loss(store, monkeypatch):
    monkeypatch.setattr(log_saver, "_SEGMENT_BYTES", 100)

    def stage(_params, _store):
        for number in range(5):
            event("line", number=number)
            logging.getLogger().handlers[1].flush()

    run_stage("ingest", stage)
    assert len(list(list_keys(store, keys.logs("ponds-1")))) > 2
    numbers = [line.rpartition("number=")[2] for line in log(store).splitlines() if "event=line" in line]
    assert numbers == ["0", "1", "2", "3", "4"]


def test_a_missing_setting_is_said_and_is_wrong_input(store, monkeypatch, capsys):
    monkeypatch.delenv("SLIPWAY_RUN")
    assert run_stage("ingest", raising(AssertionError)) == 65
    assert "SLIPWAY_RUN is not set" in capsys.readouterr().err


def test_an_unknown_run_is_named(store, monkeypatch, tmp_path):
    monkeypatch.setenv("SLIPWAY_RUN", "none")
    assert run_stage("ingest", raising(AssertionError)) == 1
    assert "runs/none/run.json: no such key" in (tmp_path / "reason").read_text()


def test_sigterm_stops_a_stage_where_it_is(store, tmp_path):
    def stage(_params, _store):
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(10)

    assert run_stage("ingest", stage) == 75
    assert (tmp_path / "reason").read_text() == "stopped by SIGTERM; run the same command again to carry on"


def test_sigterm_stops_a_stage_whatever_errors_it_passes_over(store):
    def stage(_params, _store):
        with suppress(Exception):  # as TensorFlow's AutoGraph does with whatever it cannot convert
            os.kill(os.getpid(), signal.SIGTERM)
            threading.Event().wait(10)
        raise AssertionError("it goes on")

    assert run_stage("evaluate", stage) == 75


def test_sigterm_lets_a_graceful_stage_finish_its_step(store):
    def stage(params, given):
        os.kill(os.getpid(), signal.SIGTERM)
        assert params.stopping.wait(10)
        return write_result(given, params.name, "train", TrainResult(steps=7, best_step=5))

    assert run_stage("train", stage, graceful=True) == 0
    assert json.loads(store.read(keys.result("ponds-1", "train"))) == {"steps": 7, "best_step": 5}


def test_a_result_is_json(store):
    result = TrainResult(steps=7, best_step=5)
    assert write_result(store, "ponds-1", "train", result) is result
    assert json.loads(store.read("runs/ponds-1/train/result.json")) == {"steps": 7, "best_step": 5}


def test_leaving_keeps_what_was_printed_and_the_code():
    script = "from slipway.stage.runner import leave; print('said', end=''); leave(65)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (65, "said")


def numbers(store, key="runs/ponds-1/metrics/ingest-1.json"):
    return {sample["name"]: sample["value"] for sample in json.loads(store.read(key))["samples"]}


def test_the_numbers_of_a_stage_are_kept_in_the_store_by_stage_and_index(store):
    def stage(_params, _store):
        stage_gauges.RECORDS_RATE.set(12.5)

    run_stage("ingest", stage)
    assert numbers(store)["slipway_records_per_second"] == 12.5


def test_the_numbers_of_a_stage_that_fails_are_kept_too(store):
    def stage(_params, _store):
        stage_gauges.TRAINING_LOSS.set(float("nan"))
        raise InputError("the loss is nan")

    run_stage("train", stage)
    assert numbers(store, "runs/ponds-1/metrics/train-1.json")["slipway_training_loss"] == "NaN"


def test_the_numbers_are_kept_while_the_stage_runs(store, monkeypatch):
    monkeypatch.setattr(log_saver, "_FLUSH_SEC", 0.02)
    monkeypatch.setattr(snapshots, "_EVERY_SEC", 0.02)

    def stage(_params, given):
        stage_gauges.RECORDS_RATE.set(3)
        wait = threading.Event()
        while not given.stat("runs/ponds-1/metrics/ingest-1.json"):
            wait.wait(0.01)

    assert run_stage("ingest", stage) == 0


def test_a_store_that_takes_no_numbers_changes_no_exit_code(store):
    store.write("runs/ponds-1/metrics", b"where the folder would be")
    assert run_stage("ingest", lambda _params, _store: None) == 0
