import json

import pytest

from tests.cluster.faults import Journal, is_sound, table
from tests.cluster.play import steps_lost
from tests.cluster.strikes import Commands

BOTH = Commands("kill", "restart")
RIGHT = {
    "fault": "kill trainer",
    "number": 0,
    "struck": True,
    "state": "SUCCEEDED",
    "seconds": 70,
    "duplicates": 0,
    "orphans": 0,
    "steps_lost": [],
}


def log(*events):
    return "\n".join(json.dumps(event) for event in events)


def step(number):
    return {"event": "step", "step": number}


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "faults.jsonl")


def test_steps_between_the_checkpoint_and_the_last_logged_one_are_lost():
    killed = log(step(10), step(20), step(30)) + '\n{"event": "st'
    assert steps_lost([killed, log({"event": "training_resumed", "step": 20}, step(30))]) == [10]


def test_all_steps_are_lost_when_there_was_no_checkpoint():
    assert steps_lost([log(step(10)), log(step(10), step(20))]) == [10]


def test_nothing_is_lost_when_the_last_step_was_saved():
    assert steps_lost([log(step(40)), log({"event": "training_resumed", "step": 40}, step(50))]) == [0]


def test_one_trainer_alone_lost_nothing():
    assert steps_lost([log(step(60))]) == []


def test_game_goes_on_where_it_was(journal, tmp_path):
    journal.add(**RIGHT)
    journal.add(**RIGHT | {"struck": False})
    again = Journal(tmp_path / "faults.jsonl")
    assert len(again.tries("kill trainer")) == 1
    assert again.missed() == 1


def test_table_counts_what_went_wrong_and_says_why_a_fault_was_skipped(journal):
    journal.add(**RIGHT | {"steps_lost": [10]})
    journal.add(**RIGHT | {"state": "FAILED", "duplicates": 1, "seconds": 80})
    rows = table(journal, Commands("kill", "")).splitlines()
    assert "| kill trainer | 2 | 1 | 1 | 0 | 10 (1×) | 75 |" in rows
    assert "| restart API server | skipped: no RESTART_API command was given | | | | | |" in rows
    assert "| restart S3 server | skipped: not played yet | | | | | |" in rows


@pytest.mark.parametrize(
    "wrong",
    [
        {"state": "FAILED"},
        {"duplicates": 1},
        {"orphans": 1},
        {"steps_lost": [21]},
        {"fault": "evict trainer", "steps_lost": [1]},
    ],
    ids=["failed", "duplicate", "orphan", "more-than-an-interval", "evicted-trainer-lost-a-step"],
)
def test_one_wrong_try_spoils_the_game(journal, wrong):
    journal.add(**RIGHT | {"steps_lost": [20]})
    assert is_sound(journal)
    journal.add(**RIGHT | wrong)
    assert not is_sound(journal)
