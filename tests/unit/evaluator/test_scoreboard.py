"""Choice of the best checkpoint, and the end of patience."""

import json

import pytest

from slipway import keys
from slipway.artifacts.evaluation import ClassScore, CocoMetrics, Curve, Curves, Interval, ScoreIntervals
from slipway.artifacts.operating_point import OperatingPoint, OperatingPoints
from slipway.store.folder import FolderStore

from services.evaluator.coco import NAMES, Measurement
from services.evaluator.intervals import SplitIntervals
from services.evaluator.scoreboard import Scoreboard

SHIP_INTERVALS = ScoreIntervals(AP=Interval(low=0.3, high=0.6), AP50=Interval(low=0.2, high=0.7))
INTERVALS = SplitIntervals(SHIP_INTERVALS, (SHIP_INTERVALS,))


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path)


def measurement(ap):
    score = ClassScore.model_validate({"label": "ship", "AP": ap, "AP50": ap, "images": 1, "boxes": 1})
    curves = Curves({"ship": Curve(recall=(0.0,), precision=(1.0,))})
    return Measurement(3, 0.5, CocoMetrics.model_validate(dict.fromkeys(NAMES, ap)), (score,), curves)


def points(split="test"):
    return OperatingPoints(split=split, overall=OperatingPoint(threshold=0.3, precision=0.9, recall=0.8, f1=0.85))


def board_of(store, *aps, patience=0, chosen_on="test"):
    board = Scoreboard(store, "r", chosen_on, patience)
    for index, ap in enumerate(aps, start=1):
        board.add(index * 10, chosen_on, measurement(ap))
        if board.best_step == index * 10:
            board.save_best(index * 10, chosen_on, measurement(ap), points(chosen_on))
        board.save()
    return board


def read(store, key):
    return json.loads(store.read(key))


def test_best_is_the_highest_ap_and_of_equals_the_earliest(store):
    assert board_of(store, 0.2, 0.5, 0.5, 0.4).best_step == 20


def test_rows_and_verdict_are_written_after_each_measurement(store):
    board_of(store, 0.2, 0.5)
    rows = [json.loads(line) for line in store.read(keys.metrics("r")).splitlines()]
    assert [(row["step"], row["split"], row["AP50"], row["loss"]) for row in rows] == [
        (10, "test", 0.2, 0.5),
        (20, "test", 0.5, 0.5),
    ]
    assert read(store, keys.verdict("r")) == {"best": 20, "last": 20, "stop": False, "final": False}


@pytest.mark.parametrize(
    ("aps", "stops"), [((0.5, 0.4), False), ((0.5, 0.4, 0.3), True), ((0.5, 0.4, 0.6), False)], ids=str
)
def test_patience_counts_checkpoints_since_the_best(store, aps, stops):
    board_of(store, *aps, patience=2)
    assert read(store, keys.verdict("r"))["stop"] is stops


def test_patience_of_zero_never_stops(store):
    board_of(store, *[0.5] * 20, patience=0)
    assert read(store, keys.verdict("r"))["stop"] is False


@pytest.mark.parametrize(("ap", "stops"), [(0.0, False), (0.009, False), (0.01, True)])
def test_training_that_has_found_nothing_is_not_stopped_below_the_least_ap(store, ap, stops):
    board = Scoreboard(store, "r", "test", patience=2, least_ap=0.01)
    for step in (10, 20, 30):
        board.add(step, "test", measurement(ap))
    board.save()
    assert read(store, keys.verdict("r"))["stop"] is stops


def test_a_restart_continues_with_the_stored_rows(store):
    board_of(store, 0.2, 0.5)
    scoreboard = Scoreboard(store, "r", "test", patience=0)
    assert scoreboard.measured_steps == {10, 20}
    assert scoreboard.best_step == 20


def test_finish_puts_the_last_beside_the_best_and_says_final(store):
    board = board_of(store, 0.5, 0.4)
    best = board.complete_best(INTERVALS)
    board.save(is_final=True)
    assert best.step == 10
    assert best.last.content() == {"step": 20, "split": "test", "metrics": dict.fromkeys(NAMES, 0.4)}
    assert read(store, keys.best("r")) == best.content()
    assert read(store, keys.verdict("r"))["final"] is True


def test_finish_adds_the_intervals_that_there_are(store):
    best = board_of(store, 0.5).complete_best(INTERVALS)
    assert read(store, keys.best("r"))["intervals"] == {
        "AP": {"low": 0.3, "high": 0.6},
        "AP50": {"low": 0.2, "high": 0.7},
    }
    assert best.per_class[0].intervals == SHIP_INTERVALS
    assert best.interval_note.startswith("AP50 0.50 (0.20 to 0.70), AP 0.50 (0.30 to 0.60): 95 % intervals")
    without = board_of(store, 0.5).complete_best(SplitIntervals(None, (None,)))
    assert (without.interval_note, without.per_class[0].intervals) == ("", None)


def test_choice_on_the_reported_split_is_said_to_flatter(store):
    assert "flatters" in board_of(store, 0.5).complete_best(INTERVALS).note


def test_choice_on_val_is_reported_on_test_without_that_note(store):
    board = board_of(store, 0.5, chosen_on="val")
    board.add(10, "test", measurement(0.4))
    assert board.operating_points == points("val")
    board.save_best(10, "test", measurement(0.4), board.operating_points)
    best = board.complete_best(INTERVALS)
    assert (best.chosen_on, best.split, best.metrics.ap, best.note) == ("val", "test", 0.4, "")
    assert best.operating_points == points("val")
    assert board.measured_steps == {10}


def test_there_are_no_thresholds_before_a_checkpoint_is_measured_or_where_an_older_version_measured_it(store):
    board = Scoreboard(store, "r", "test", patience=0)
    assert board.operating_points is None
    old_best = {"step": 10, "split": "test", "chosen_on": "test", "metrics": {"AP": 0.5, "AP50": 0.8}}
    store.write(keys.best("r"), json.dumps(old_best).encode())
    assert board.operating_points is None
