"""Model Garden's stock recipe, as the quality benchmark scales it."""

from argparse import Namespace
from pathlib import Path

import pytest

from tests.benchmarks.quality.stock import evaluated_steps, loop_lengths, overrides


def options(**others):
    return Namespace(**{"image_size": 320, "batch": 8, "units": 720, "model": "resnet50"} | others)


def test_the_learning_rate_is_in_proportion_to_batch_and_length():
    optimizer = overrides(options(), 3, 5, Path("records"))["trainer"]["optimizer_config"]
    assert optimizer["learning_rate"]["stepwise"]["boundaries"] == [570, 670]
    assert optimizer["learning_rate"]["stepwise"]["values"] == pytest.approx([0.01, 0.001, 0.0001])
    assert optimizer["warmup"] == {"linear": {"warmup_steps": 72}}


@pytest.mark.parametrize(("image_size", "level"), [(256, 7), (320, 6), (224, 5), (640, 7)])
def test_levels_fit_the_input_size(image_size, level):
    model = overrides(options(image_size=image_size), 3, 5, Path("records"))["task"]["model"]
    assert (model["max_level"], model["input_size"]) == (level, [image_size, image_size, 3])


def test_background_is_a_class_and_no_box_of_the_fullest_image_is_dropped():
    task = overrides(options(), 3, 150, Path("records"))["task"]
    assert task["model"]["num_classes"] == 4
    assert task["train_data"]["parser"]["max_num_instances"] == 150


def test_the_network_is_its_own_unless_the_small_one_is_asked_for():
    assert "backbone" not in overrides(options(), 3, 5, Path("records"))["task"]["model"]
    small = overrides(options(model="resnet10"), 3, 5, Path("records"))["task"]["model"]
    assert small["backbone"]["resnet"] == {"model_id": 10, "depth_multiplier": 0.5}


def test_the_last_step_is_evaluated():
    assert evaluated_steps(100, 4) == [25, 50, 75, 100]
    assert evaluated_steps(3, 10) == [1, 2, 3]


def test_the_first_loop_is_one_step_and_an_evaluation_ends_a_loop():
    assert loop_lengths(14, 2) == [(1, False), (5, False), (1, True), (5, False), (2, True)]
    assert loop_lengths(1, 1) == [(1, True)]
