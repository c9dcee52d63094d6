"""Anchors fitted to boxes."""

import random
import re
import time

import pytest

from slipway.run.from_data.anchor_coverage import ModelInput, TrainBox, TrainBoxes, coverage, evaluated_boxes
from slipway.run.from_data.anchors import AnchorLimits, choose_anchors, fit
from slipway.run.plan import resolve
from slipway.run.presets import load_preset
from slipway.run.spec import TrainSpec

PRESET = load_preset("retinanet_resnet10_320")
LIMITS = AnchorLimits(PRESET.anchors, PRESET.image_size)


def boxes(number, width, height, aspect=1.0, seed=0):
    """Draw boxes inside their image; width and height are ranges of fractions of it."""
    chance = random.Random(seed)
    drawn = []
    for _ in range(number):
        w, h = chance.uniform(*width), chance.uniform(*height)
        drawn.append(TrainBox(chance.uniform(w / 2, 1 - w / 2), chance.uniform(h / 2, 1 - h / 2), w, h, aspect))
    return drawn


SETS = {
    "small": (boxes(1000, (12 / 160, 30 / 160), (12 / 160, 30 / 160)), 192),
    "fills-the-image": (boxes(1000, (0.75, 1.0), (0.75, 1.0)), 256),
    "wide-text-lines": (boxes(1000, (0.4, 0.9), (0.06, 0.1)), 320),
    "narrow": (boxes(1000, (0.06, 0.1), (0.3, 0.8)), 320),
    "mixed": (boxes(500, (0.07, 0.15), (0.07, 0.15)) + boxes(500, (0.3, 1.0), (0.1, 1.0), seed=1), 320),
    "as-the-preset": (boxes(1000, (0.15, 0.4), (0.15, 0.4)), 320),
}


@pytest.mark.parametrize(("drawn", "size"), SETS.values(), ids=SETS)
def test_98_of_100_boxes_are_covered_those_of_the_sample_and_others(drawn, size):
    view = PRESET.model_input(size)
    start = time.process_time()
    result = fit(drawn[::2], view, LIMITS)
    assert time.process_time() - start < 1
    assert result.coverage >= 0.98
    assert coverage(result.anchors, evaluated_boxes(drawn[1::2], view)) >= 0.97


def test_presets_anchors_stay_where_they_cover_the_boxes():
    anchors, reason = choose_anchors(TrainSpec(), PRESET, 320, None, TrainBoxes(SETS["as-the-preset"][0], 2345))
    assert anchors == PRESET.anchors
    assert reason == "the preset's; 100 % of 1,000 of 2,345 boxes have an anchor of IoU 0.5"


def test_fitted_anchors_are_compared_with_those_of_the_preset():
    anchors, reason = choose_anchors(TrainSpec(), PRESET, 320, None, TrainBoxes(SETS["narrow"][0], 1000))
    assert (anchors.per_cell, anchors.min_level) == (2, 3)
    assert reason == "100 % of 1,000 boxes have an anchor of IoU 0.5; of the preset's, 10.9 % have one"


def test_boxes_too_small_for_any_anchor_are_named_in_the_reason():
    anchors, reason = choose_anchors(
        TrainSpec(), PRESET, 320, None, TrainBoxes(boxes(1000, (0.01, 0.02), (0.01, 0.02)), 1000)
    )
    assert anchors.min_level == 2
    assert re.search(r"^\d\d[.\d]* % of 1,000 boxes .* too small for this input: a larger one \(--image-size\)", reason)


def test_finer_level_is_only_taken_where_the_boxes_need_it():
    small = boxes(1000, (11 / 192, 30 / 192), (11 / 192, 30 / 192))
    assert fit(small, PRESET.model_input(192), LIMITS).anchors.min_level == 2
    assert fit(small, PRESET.model_input(320), LIMITS).anchors.min_level == 3


def test_levels_stay_where_the_initial_checkpoint_has_weights_for_them():
    preset = load_preset("retinanet_resnet50_640")
    drawn = TrainBoxes(SETS["narrow"][0], 1000)
    fitted, _ = choose_anchors(TrainSpec(), preset, 640, "https://slipway.example.org/weights.tar.gz", drawn)
    assert (fitted.min_level, fitted.max_level) == (3, 7)
    assert fitted != preset.anchors


def test_split_without_boxes_has_the_presets_anchors():
    assert choose_anchors(TrainSpec(), PRESET, 320, None, TrainBoxes()) == (
        PRESET.anchors,
        "the preset's; no boxes are known",
    )


def test_image_that_keeps_its_aspect_ratio_is_placed_in_the_upper_left():
    box = TrainBox(0.5, 0.5, 0.5, 0.5, aspect=2.0)
    [stretched] = evaluated_boxes([box], ModelInput(256))
    [letterboxed] = evaluated_boxes([box], ModelInput(256, keep_aspect_ratio=True))
    assert (stretched.width, stretched.height, stretched.offsets[6]) == (128, 128, (32, 32))
    assert (letterboxed.width, letterboxed.height, letterboxed.offsets[6]) == (128, 64, (32, 32))
    assert letterboxed.offsets[7] == (64, 0)


def test_anchors_that_a_run_sets_are_not_fitted():
    spec = TrainSpec(overrides={"task.model.anchor.anchor_size": 5.0, "task.model.max_level": 5})
    plan = resolve(spec, 100, (640, 480), TrainBoxes(SETS["narrow"][0], 1000))
    assert plan.anchors == PRESET.anchors.model_copy(update={"anchor_size": 5.0, "max_level": 5})
    assert plan.reasons["anchors"] == "as asked"
