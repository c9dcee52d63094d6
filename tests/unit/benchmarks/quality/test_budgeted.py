"""The length of a training that fits into the reference's time, and the report of a script."""

import json

import pytest

from slipway.dataset.boxes import Box
from tests.benchmarks.quality.budgeted import Report, fitting_length, parse_report

from services.evaluator.coco import Detection


def trial(unit_sec, evaluations=0, evaluation_sec=0.0):
    return Report(3, unit_sec, 20.0, (), evaluations, evaluation_sec)


def test_the_rest_of_the_budget_is_filled_with_units():
    # 3 epochs of 10 s in a trial of 50 s: start and end take 20 s, so 280 of 300 s are left
    assert fitting_length(trial(10.0), trial_sec=50.0, budget_sec=300.0) == (28, 0)


def test_evaluations_take_a_tenth_of_the_budget_at_most():
    # 3 steps of 1 s and an evaluation of 15 s in 38 s: start and end take 20 s
    assert fitting_length(trial(1.0, 1, 15.0), trial_sec=38.0, budget_sec=300.0) == (250, 2)


def test_there_are_at_most_ten_evaluations_and_at_least_one():
    assert fitting_length(trial(1.0, 1, 1.0), trial_sec=24.0, budget_sec=300.0) == (270, 10)
    assert fitting_length(trial(1.0, 1, 100.0), trial_sec=123.0, budget_sec=300.0) == (180, 1)


def test_a_budget_that_is_used_up_by_the_start_leaves_nothing():
    assert fitting_length(trial(10.0), trial_sec=130.0, budget_sec=60.0) == (0, 0)


def test_a_report_has_detections_in_pixels():
    report = {"units": 30, "unit_sec": 9.5, "images_per_sec": 31.0, "detections": [[12, 1, 0.5, 2, 30, 40, 0.75]]}
    assert parse_report(json.dumps(report)) == Report(
        30, 9.5, 31.0, (Detection(12, 1, Box(0.5, 2, 30, 40), pytest.approx(0.75)),)
    )
