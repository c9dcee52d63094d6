"""A sweep on this machine with fake stages: the n-th of five evaluations has an AP of n times the learning rate."""

import json
import re
import signal
import subprocess
import sys
import time

import pytest

from slipway import keys
from slipway.artifacts.json_io import read_document
from slipway.artifacts.sweep import Sweep
from slipway.store.folder import FolderStore
from tests.unit.cli.conftest import FAKE_STAGES, slipway
from tests.unit.cli.local.test_runner import RUNNER


@pytest.fixture
def slow_stages(fake_stages):
    """The trainer waits for an evaluator that measures five checkpoints on val."""
    for module in ("trainer", "evaluator"):
        (fake_stages / f"services.{module}").write_text("slow")
    return fake_stages


@pytest.fixture
def out(source):
    return source.parent / "out"


def starts(folder, module):
    log = folder / f"services.{module}.starts"
    return len(log.read_text().split()) if log.exists() else 0


def stored_sweep(out):
    (file,) = (out / "sweeps").glob("*/sweep.json")
    return read_document(FolderStore(out), keys.sweep(file.parent.name), Sweep)


def rates(out, state):
    return [run.values["learning_rate"] for run in stored_sweep(out).runs if run.state == state]


def test_the_best_on_val_is_finished_and_another_is_stopped_early(source, out, slow_stages, capsys):
    command = ("sweep", source, "--try", "learning_rate=0.1,0.12,0.02", "--out", out)
    assert slipway(*command) == 0
    lines = capsys.readouterr().out.splitlines()
    sweep = stored_sweep(out)
    best, second, worst = sweep.runs[1].run, sweep.runs[0].run, sweep.runs[2].run
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if line.startswith("│")]
    assert [[*row[:4], row[5]] for row in rows[:2]] == [
        [best, "0.12", "0.600", "0.900", "chosen"],
        [second, "0.1", "0.500", "0.750", "trained"],
    ]
    (last_row,) = rows[2:]  # on a busy machine, it is stopped an evaluation later
    assert [*last_row[:2], last_row[5]] == [worst, "0.02", "stopped early"]
    assert "run 2 of 3: learning rate 0.12" in lines
    message = r"stopped early: AP 0\.\d+ at evaluation [345], clearly below the median 0\.\d+ of 2 other runs"
    assert any(re.fullmatch(message, line) for line in lines)
    assert lines[-5:] == [
        "15% of the images are the val split, on which the best run is chosen: none was asked for.",
        "1 of 3 runs were stopped early",
        f"chosen on val: learning rate 0.12, run {best}",
        "AP50 0.480, AP 0.300 on 40 test images, which took no part in the choice: the figures to trust",
        f"to finish another run: slipway run -f {out}/runs/RUN/run.json --out {out}",
    ]
    assert sweep.runs[1].aps == (0.12, 0.24, 0.36, 0.48, 0.6)
    assert (sweep.winner.run, sweep.winner.checkpoint.metrics.ap) == (best, 0.3)
    assert [starts(slow_stages, module) for module in ("trainer", "exporter", "detector")] == [3, 1, 1]
    assert slipway(*command) == 0
    assert capsys.readouterr().out.splitlines()[-5:] == lines[-5:]
    assert starts(slow_stages, "trainer") == 3


def test_json_is_one_object_a_line_and_the_last_is_the_sweep(source, out, slow_stages, capsys):
    arguments = ("--try", "learning_rate=0.1,0.12,0.02", "--try", "val_ratio=0.2", "--no-prune", "--json")
    assert slipway("sweep", source, *arguments[:2], "--runs", 2, *arguments[2:], "--out", out) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    last = events[-1]
    assert (last["event"], last["code"], len(last["runs"])) == ("sweep_over", 0, 2)
    assert {run["state"] for run in last["runs"]} == {"done"}
    assert last["winner"]["checkpoint"]["split"] == "test"
    assert [event["number"] for event in events if event["event"] == "trial_begun"] == [1, 2]
    assert {event["run"] for event in events if event["event"] == "evaluated"} == {run["run"] for run in last["runs"]}


def test_a_run_that_fails_is_named_and_the_others_go_on(source, out, slow_stages, capsys):
    (slow_stages / "services.preprocess").write_text("input\nwork")
    assert slipway("sweep", source, "--try", "learning_rate=0.1,0.12", "--out", out) == 65
    lines = capsys.readouterr().out.splitlines()
    failed_run, best_run = stored_sweep(out).runs
    assert f"{failed_run.run} failed: preprocess: a.jpg: this is no image; remove it" in lines
    assert f"chosen on val: learning rate 0.12, run {best_run.run}" in lines
    assert slipway("sweep", source, "--try", "learning_rate=0.1,0.12", "--out", out) == 0
    assert rates(out, "done") == [0.1, 0.12]


def test_a_source_that_is_refused_ends_the_sweep_before_a_run(source, out, fake_stages, capsys):
    (fake_stages / "services.ingest").write_text("input")
    assert slipway("sweep", source, "--try", "learning_rate=0.1,0.12", "--out", out) == 65
    assert capsys.readouterr().err == "ingest failed: a.jpg: this is no image; remove it\n"
    assert starts(fake_stages, "trainer") == 0


def test_a_wrong_value_is_refused_before_anything_runs(source, out, fake_stages, capsys):
    assert slipway("sweep", source, "--try", "learning_rate=0.1,fast", "--out", out) == 65
    assert "slipway: --learning-rate: Input should be a valid number" in capsys.readouterr().err
    assert starts(fake_stages, "ingest") == 0


def test_after_ctrl_c_the_same_command_continues(source, out, slow_stages, capsys):
    code = RUNNER.format(fakes=str(FAKE_STAGES))
    arguments = ["sweep", str(source), "--try", "learning_rate=0.02,0.15", "--out", str(out)]
    process = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not any(len(file.read_text().splitlines()) == 3 for file in out.glob("runs/*/evaluate/metrics.jsonl")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 130
    assert "stopped; run the same command again to carry on" in process.stdout.read().splitlines()
    process.stdout.close()
    assert rates(out, "waiting") == [0.02, 0.15]
    assert stored_sweep(out).runs[0].aps == (0.02, 0.04, 0.06)
    assert slipway(*arguments) == 0
    assert rates(out, "done") == [0.02, 0.15]
