import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from slipway import keys
from slipway.errors import SpecError, StoreRefused, TransientError
from slipway.run.names import STAGES
from slipway.run.pipeline import State
from slipway.run.spec import Metadata, RunSpec, TrainingRun
from slipway.store.folder import FolderStore
from tests.unit.cli.conftest import FAKE_STAGES

from services.cli.local.process import ManagedProcess
from services.cli.local.run_lock import lock_run
from services.cli.local.runner import process_specs, run_local

# The command with the fake stages, as a process of its own.
RUNNER = """
import sys
from services.cli import main
from services.cli.local import process, supervisor
process.command_line = lambda spec: [sys.executable, {fakes!r}, spec.module, *spec.arguments]
supervisor.RETRY_WAITS_SEC = (0.0, 0.0, 0.0)
main.main(sys.argv[1:])
"""


class Stages:
    """Tells the fake stages how to behave, and counts their starts."""

    def __init__(self, folder):
        self.folder = folder

    def set_behaviour(self, module, *behaviours):
        (self.folder / f"services.{module}").write_text("\n".join(behaviours))

    def attempts(self, module):
        """Return the attempt of every start of the module."""
        log = self.folder / f"services.{module}.starts"
        return [int(line) for line in log.read_text().split()] if log.exists() else []

    def await_pid(self):
        deadline = time.monotonic() + 60
        while not (self.folder / "pid").exists() or not (self.folder / "pid").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return int((self.folder / "pid").read_text())


@pytest.fixture
def stages(fake_stages):
    return Stages(fake_stages)


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path / "out")


def ponds(**spec):
    spec = RunSpec.model_validate({"dataset": {"source": "/ponds", "sha256": "ab" * 32}, **spec})
    return TrainingRun(metadata=Metadata(name="ponds-1"), spec=spec)


def run(store, **spec):
    events = []
    return run_local(ponds(**spec), store, events.append), events


def named(events, name):
    return [event for event in events if event["event"] == name]


def failure(store, stage="ingest"):
    return json.loads(store.read(keys.failure("ponds-1", stage)))


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"


def test_every_stage_is_run_once_in_order(stages, store):
    outcome, events = run(store)
    assert (outcome.state, outcome.code) == (State.SUCCEEDED, 0)
    assert [e["stage"] for e in named(events, "stage_over")] == ["ingest", "preprocess", "train", "export", "detect"]
    assert [stages.attempts(m) for m in ("ingest", "trainer", "evaluator", "exporter", "detector")] == [[1]] * 5


def test_a_finished_run_starts_nothing_and_needs_no_lock(stages, store):
    run(store, until="ingest")
    with lock_run(store, "ponds-1"):
        outcome, events = run(store, until="ingest")
    assert (outcome.state, outcome.is_new, events) == (State.SUCCEEDED, False, [])


def test_stages_that_are_done_are_skipped(stages, store):
    store.write(keys.result("ponds-1", "ingest"), b"{}")
    store.write(keys.result("ponds-1", "preprocess"), b"{}")
    _, events = run(store, until="train")
    assert [e["stage"] for e in named(events, "stage_skipped")] == ["ingest", "preprocess"]
    assert stages.attempts("ingest") == []


def test_as_many_workers_as_asked_for_make_the_records(stages, store, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    run(store, until="preprocess", preprocess={"workers": 64})
    assert len(stages.attempts("preprocess")) == 3


def test_the_processes_of_a_stage_on_one_machine():
    spec = ponds(preprocess={"workers": 2}, train={"workers": 4}).spec
    processes = {stage: [(p.name, p.is_sidecar) for p in process_specs(stage, spec)] for stage in STAGES}
    assert processes == {
        "ingest": [("ingest-0", False)],
        "preprocess": [("preprocess-0", False), ("preprocess-1", False)],
        "train": [("trainer-0", False), ("evaluator-0", True)],
        "export": [("exporter-0", False)],
        "detect": [("detector-0", False)],
    }


def test_wrong_input_is_not_tried_again_and_its_reason_is_kept(stages, store):
    stages.set_behaviour("ingest", "input")
    outcome, _ = run(store)
    assert (outcome.state, outcome.code, outcome.stage) == (State.FAILED, 65, "ingest")
    assert outcome.reason == "a.jpg: this is no image; remove it"
    assert stages.attempts("ingest") == [1]
    assert failure(store) == {"attempt": 1, "code": 65, "reason": "a.jpg: this is no image; remove it"}


def test_a_process_that_fails_right_after_it_was_seen_alive_has_not_ended_well(stages, store, monkeypatch):
    polls, real_poll = [], ManagedProcess.poll

    def poll(self):
        polls.append(self)
        if len(polls) > 1:
            return real_poll(self)
        self._process.wait()
        return None

    monkeypatch.setattr(ManagedProcess, "poll", poll)
    stages.set_behaviour("ingest", "input")
    assert (run(store)[0].code, stages.attempts("ingest")) == (65, [1])


def test_a_bug_is_not_tried_again(stages, store):
    stages.set_behaviour("ingest", "bug")
    outcome, _ = run(store)
    assert (outcome.code, len(stages.attempts("ingest"))) == (1, 1)
    assert "ZeroDivisionError: nothing by nothing" in outcome.reason


@pytest.mark.parametrize("trouble", ["retry", "killed"])
def test_what_may_pass_by_itself_is_tried_again(stages, store, trouble):
    stages.set_behaviour("ingest", trouble, "work")
    outcome, events = run(store, until="ingest")
    assert outcome.state is State.SUCCEEDED
    assert len(named(events, "stage_retried")) == 1


def test_what_does_not_pass_fails_after_three_more_tries(stages, store):
    stages.set_behaviour("ingest", "retry")
    outcome, _ = run(store)
    assert (outcome.state, outcome.code, outcome.reason) == (State.FAILED, 75, "the store has no room left")
    assert stages.attempts("ingest") == [1, 1, 1, 1]


def test_a_disk_that_does_not_even_take_the_reason_does_not_hide_it(stages, store):
    stages.set_behaviour("ingest", "full")
    assert run(store)[0].reason == "the store has no room left"


def test_a_process_that_is_killed_each_time_says_by_what(stages, store):
    stages.set_behaviour("ingest", "killed")
    outcome, _ = run(store)
    assert (outcome.code, outcome.reason) == (
        75,
        "services.ingest was killed by SIGKILL; probably for lack of memory, unless somebody killed it",
    )


def test_a_crash_outside_the_shell_keeps_what_it_said(stages, store):
    stages.set_behaviour("ingest", "crash")
    outcome, _ = run(store)
    assert outcome.reason == "services.ingest ended with code 3: Fatal: cannot load libnowhere.so"
    assert b"libnowhere" in store.read(keys.log("ponds-1", "ingest", 1, "output", 0))


def test_a_stage_without_a_result_is_a_bug_and_no_endless_loop(stages, store):
    stages.set_behaviour("ingest", "silent")
    outcome, _ = run(store)
    assert (outcome.code, len(stages.attempts("ingest"))) == (1, 1)
    assert "wrote no result" in outcome.reason


def test_the_same_command_tries_a_failed_stage_again_as_a_new_attempt(stages, store):
    stages.set_behaviour("preprocess", "input", "input", "work")
    run(store, until="preprocess", preprocess={"workers": 1})
    run(store, until="preprocess", preprocess={"workers": 1})
    outcome, _ = run(store, until="preprocess", preprocess={"workers": 1})
    assert outcome.state is State.SUCCEEDED
    assert (stages.attempts("ingest"), stages.attempts("preprocess")) == ([1], [1, 2, 3])


def test_the_evaluator_starts_again_alone(stages, store):
    store.write(keys.result("ponds-1", "ingest"), b"{}")
    store.write(keys.result("ponds-1", "preprocess"), b"{}")
    stages.set_behaviour("evaluator", "killed", "work")
    outcome, _ = run(store, until="train")
    assert outcome.state is State.SUCCEEDED
    assert (stages.attempts("trainer"), stages.attempts("evaluator")) == ([1], [1, 1])


def test_an_evaluator_with_a_bug_ends_the_training_at_once(stages, store):
    store.write(keys.result("ponds-1", "ingest"), b"{}")
    store.write(keys.result("ponds-1", "preprocess"), b"{}")
    stages.set_behaviour("evaluator", "bug")
    outcome, _ = run(store, until="train")
    assert (outcome.state, outcome.stage, outcome.code) == (State.FAILED, "train", 1)
    assert "nothing by nothing" in outcome.reason


def test_a_trainer_that_fails_stops_its_evaluator_and_its_reason_is_the_stages(stages, store):
    store.write(keys.result("ponds-1", "ingest"), b"{}")
    store.write(keys.result("ponds-1", "preprocess"), b"{}")
    stages.set_behaviour("trainer", "input-once-another-runs")
    stages.set_behaviour("evaluator", "long")
    outcome, _ = run(store, until="train")
    assert (outcome.state, outcome.stage, outcome.code) == (State.FAILED, "train", 65)
    assert outcome.reason == "a.jpg: this is no image; remove it"
    assert stages.attempts("evaluator") == [1]


def test_events_come_with_their_numbers(stages, store):
    _, events = run(store, until="ingest")
    assert [(e["done"], e["total"], e["unit"], e["index"]) for e in named(events, "progress")] == [
        (10, 10, "images", 0)
    ]


def test_choices_and_findings_are_told_after_ingest(stages, store):
    _, events = run(store, until="ingest")
    [choices], [findings] = named(events, "choices"), named(events, "findings")
    assert {"field": "steps", "value": 600}.items() <= choices["choices"][3].items()
    assert (findings["counts"], findings["findings"][0]["object"]) == ({"box_empty": 1}, 2)


def test_the_scratch_folder_is_emptied_before_and_removed_after(stages, store):
    leftover = store.root / ".tmp" / "ponds-1" / "leftover"
    leftover.mkdir(parents=True)
    with lock_run(store, "ponds-1") as lock:
        assert list(lock.scratch.iterdir()) == []
    assert not lock.scratch.exists()


def test_a_run_that_runs_already_is_refused_by_pid(stages, store):
    with lock_run(store, "ponds-1"), pytest.raises(TransientError, match=f"already running as pid {os.getpid()}"):
        run(store)


def test_another_run_in_the_same_folder_is_not(stages, store):
    with lock_run(store, "other"):
        assert run(store, until="ingest")[0].state is State.SUCCEEDED


def test_a_taken_name_is_refused_before_anything_starts(stages, store):
    run(store, until="ingest")
    with pytest.raises(SpecError, match="give the new run another name"):
        run(store, until="ingest", train={"steps": 7})


def test_a_store_that_cannot_be_written_is_refused(stages, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreRefused, match="file is where a folder"):
        run(FolderStore(tmp_path / "file"))


def test_a_failure_that_cannot_be_recorded_is_told_all_the_same(stages, store):
    stages.set_behaviour("ingest", "input")
    (store.root / keys.failure("ponds-1", "ingest")).mkdir(parents=True)  # in the place of the file
    outcome, events = run(store)
    assert (outcome.code, outcome.reason) == (65, "a.jpg: this is no image; remove it")
    assert len(named(events, "failure_unrecorded")) == 1


def test_the_first_interrupt_lets_the_stage_save_and_the_next_run_carries_on(stages, store):
    stages.set_behaviour("ingest", "long", "work")
    threading.Thread(target=lambda: (stages.await_pid(), os.kill(os.getpid(), signal.SIGINT))).start()
    outcome, _ = run(store, until="ingest")
    assert (outcome.state, outcome.code) == (State.SUSPENDED, 130)
    assert outcome.reason.startswith("stopped at step 7 of 20")
    assert store.stat(keys.failure("ponds-1", "ingest")) is None
    assert run(store, until="ingest")[0].state is State.SUCCEEDED
    assert stages.attempts("ingest") == [1, 1]


@pytest.fixture
def runner(stages, store, tmp_path):
    """Start `slipway` with the fake stages."""
    (tmp_path / "ponds").mkdir()
    (tmp_path / "ponds" / "a.xml").write_text("<annotation/>")
    processes = []

    def start():
        command = [sys.executable, "-c", RUNNER.format(fakes=str(FAKE_STAGES)), "run", str(tmp_path / "ponds")]
        process = subprocess.Popen(
            [*command, "--out", str(store.root), "--until", "ingest"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_a_stopped_command_says_how_to_carry_on(stages, runner):
    stages.set_behaviour("ingest", "long", "work")
    process = runner()
    stages.await_pid()
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err.decode()) == (
        130,
        "stopped at step 7 of 20, which is saved; run the same command again to carry on\n",
    )


def test_a_killed_runner_leaves_no_process_and_the_next_one_waits_for_that(stages, runner):
    stages.set_behaviour("ingest", "long", "work")
    process = runner()
    pid = stages.await_pid()
    process.kill()
    process.wait()
    second = runner()
    out, _ = second.communicate(timeout=60)
    assert not is_alive(pid)
    assert (second.returncode, b"ingest: done in" in out) == (0, True)


def test_a_second_interrupt_kills(stages, runner):
    stages.set_behaviour("ingest", "stubborn")
    process = runner()
    pid = stages.await_pid()
    process.send_signal(signal.SIGINT)
    time.sleep(1)  # two signals in one moment are one
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert (process.returncode, is_alive(pid)) == (130, False)
