import pytest

from slipway.run.pipeline import (
    Conclude,
    Observation,
    Phase,
    Resume,
    Start,
    State,
    Stop,
    Suspend,
    Unit,
    next_actions,
    state,
)
from slipway.run.spec import RunSpec

DONE = Unit(Phase.DONE, 1)
RUNNING = Unit(Phase.RUNNING, 1)
SUSPENDED = Unit(Phase.SUSPENDED, 1)
QUEUED = Unit(Phase.QUEUED, 1)
FAILED = Unit(Phase.FAILED, 1, "a.jpg is no image")
ALL_DONE = dict.fromkeys(("ingest", "preprocess", "train", "export", "detect"), DONE)


def spec(**fields):
    return RunSpec.model_validate({"dataset": {"source": "ponds"}, **fields})


# Fields of the spec, observed units, recorded final state; expected actions, and the state that the user sees.
CASES = {
    "nothing-yet": ({}, {}, None, [Start("ingest", 1)], "PENDING"),
    "first-runs": ({}, {"ingest": RUNNING}, None, [], "RUNNING"),
    "first-done": ({}, {"ingest": DONE}, None, [Start("preprocess", 1)], "RUNNING"),
    "third-runs": ({}, {"ingest": DONE, "preprocess": DONE, "train": RUNNING}, None, [], "RUNNING"),
    "all-done": ({}, ALL_DONE, None, [Conclude(State.SUCCEEDED)], "RUNNING"),
    "all-done-and-recorded": ({}, ALL_DONE, State.SUCCEEDED, [], "SUCCEEDED"),
    "succeeded-then-expired": ({}, {}, State.SUCCEEDED, [], "SUCCEEDED"),
    "until-reached": ({"until": "ingest"}, {"ingest": DONE}, None, [Conclude(State.SUCCEEDED)], "RUNNING"),
    "until-not-reached": (
        {"until": "train"},
        {"ingest": DONE, "preprocess": DONE},
        None,
        [Start("train", 1)],
        "RUNNING",
    ),
    "failed": (
        {},
        {"ingest": DONE, "preprocess": FAILED},
        None,
        [Conclude(State.FAILED, "preprocess", "a.jpg is no image")],
        "FAILED",
    ),
    "failed-and-recorded": ({}, {"ingest": FAILED}, State.FAILED, [], "FAILED"),
    "retry": ({"attempt": 2}, {"ingest": FAILED}, State.FAILED, [Start("ingest", 2)], "RUNNING"),
    "retry-asked-while-running": ({"attempt": 2}, {"ingest": RUNNING}, None, [], "RUNNING"),
    "retry-runs": ({"attempt": 2}, {"ingest": Unit(Phase.RUNNING, 2)}, None, [], "RUNNING"),
    "retry-failed": (
        {"attempt": 2},
        {"ingest": Unit(Phase.FAILED, 2, "again")},
        None,
        [Conclude(State.FAILED, "ingest", "again")],
        "FAILED",
    ),
    "retry-goes-on": ({"attempt": 2}, {"ingest": DONE}, None, [Start("preprocess", 2)], "RUNNING"),
    "suspend-before-start": ({"suspend": True}, {}, None, [], "SUSPENDED"),
    "suspend-between": ({"suspend": True}, {"ingest": DONE}, None, [], "SUSPENDED"),
    "suspend-running": ({"suspend": True}, {"ingest": RUNNING}, None, [Suspend("ingest")], "SUSPENDED"),
    "suspended": ({"suspend": True}, {"ingest": SUSPENDED}, None, [], "SUSPENDED"),
    "suspend-failed": (
        {"suspend": True},
        {"ingest": FAILED},
        None,
        [Conclude(State.FAILED, "ingest", "a.jpg is no image")],
        "FAILED",
    ),
    "suspend-retry": ({"suspend": True, "attempt": 2}, {"ingest": FAILED}, State.FAILED, [], "SUSPENDED"),
    "resume": ({}, {"ingest": SUSPENDED}, None, [Resume("ingest")], "RUNNING"),
    "queued": ({}, {"ingest": QUEUED}, None, [], "QUEUED"),
    "queued-later": ({}, {"ingest": DONE, "preprocess": QUEUED}, None, [], "QUEUED"),
    "suspend-queued": ({"suspend": True}, {"ingest": QUEUED}, None, [Suspend("ingest")], "SUSPENDED"),
    "cancel-queued": ({"cancel": True}, {"ingest": QUEUED}, None, [Stop("ingest")], "CANCELING"),
    "cancel-before-start": ({"cancel": True}, {}, None, [Conclude(State.CANCELED)], "CANCELING"),
    "cancel-running": ({"cancel": True}, {"ingest": RUNNING}, None, [Stop("ingest")], "CANCELING"),
    "cancel-suspended": ({"cancel": True}, {"ingest": SUSPENDED}, None, [Stop("ingest")], "CANCELING"),
    "cancel-wins-over-suspend": (
        {"cancel": True, "suspend": True},
        {"ingest": RUNNING},
        None,
        [Stop("ingest")],
        "CANCELING",
    ),
    "cancel-between": ({"cancel": True}, {"ingest": DONE}, None, [Conclude(State.CANCELED)], "CANCELING"),
    "cancel-made-the-stage-fail": ({"cancel": True}, {"ingest": FAILED}, None, [Conclude(State.CANCELED)], "CANCELING"),
    "cancel-after-failure": ({"cancel": True}, {"ingest": FAILED}, State.FAILED, [], "FAILED"),
    "cancel-of-a-retry": (
        {"cancel": True, "attempt": 2},
        {"ingest": Unit(Phase.RUNNING, 2)},
        State.FAILED,
        [Stop("ingest")],
        "CANCELING",
    ),
    "cancel-came-too-late": ({"cancel": True}, ALL_DONE, None, [Conclude(State.SUCCEEDED)], "RUNNING"),
    "cancel-after-success": ({"cancel": True}, ALL_DONE, State.SUCCEEDED, [], "SUCCEEDED"),
    "canceled": ({"cancel": True}, {"ingest": DONE}, State.CANCELED, [], "CANCELED"),
    "canceled-stays-so": ({"attempt": 2}, {"ingest": DONE}, State.CANCELED, [], "CANCELED"),
}


@pytest.mark.parametrize(("fields", "units", "final_state", "actions", "_state"), CASES.values(), ids=CASES)
def test_next_actions_are(fields, units, final_state, actions, _state):
    assert next_actions(spec(**fields), Observation(units, final_state)) == actions


@pytest.mark.parametrize(("fields", "units", "final_state", "_actions", "expected"), CASES.values(), ids=CASES)
def test_state_is(fields, units, final_state, _actions, expected):
    assert state(spec(**fields), Observation(units, final_state)) == expected


def test_a_run_ends_after_one_observation_for_each_action():
    run, units, done_stages = spec(), {}, []
    while True:
        match next_actions(run, Observation(units)):
            case [Start(stage, 1)]:
                units[stage] = DONE
                done_stages.append(stage)
            case [Conclude(State.SUCCEEDED)]:
                break
    assert done_stages == ["ingest", "preprocess", "train", "export", "detect"]


@pytest.mark.parametrize("word", ["SUCCEEDED", "FAILED", "CANCELED"])
def test_an_ended_run_is_final(word):
    assert State(word).is_final


@pytest.mark.parametrize("word", ["PENDING", "QUEUED", "RUNNING", "SUSPENDED", "CANCELING"])
def test_a_live_run_is_not_final(word):
    assert not State(word).is_final
