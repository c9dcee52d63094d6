from dataclasses import replace

import pytest

from slipway.errors import SpecError
from slipway.run.augmentation import Augmentation
from slipway.run.presets import load_preset, preset_names, preset_text


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_is_complete(name):
    preset = load_preset(name)
    assert preset.summary
    assert preset.image_size % 32 == 0
    assert preset.min_steps <= preset.max_steps


@pytest.mark.parametrize("name", preset_names())
def test_head_of_an_experimental_preset_says_so(name):
    head = preset_text(name).partition("summary:")[0]
    assert ("Experimental: " in head) == load_preset(name).experimental


@pytest.mark.parametrize("name", preset_names())
def test_augmentation_of_a_preset_is_flip_and_scale_and_not_among_the_overrides(name):
    preset = load_preset(name)
    scale = (0.8, 1.25) if "lite0" in name else (0.7, 1.5)  # those from scratch need more of it
    assert preset.augment == Augmentation(flip=True, scale=scale, crop=False, colour=0, mosaic=0)
    parser = preset.overrides["task"]["train_data"].get("parser", {})
    assert not [field for field in parser if field.startswith("aug_")]


def test_preset_with_a_base_has_its_values_where_it_says_nothing():
    preset, base = load_preset("retinanet_efficientnet_lite0_256"), load_preset("retinanet_efficientnet_lite0_320")
    assert (preset.image_size, preset.experimental) == (256, True)
    own = {"name": base.name, "summary": base.summary, "image_size": 320, "experimental": False}
    assert replace(preset, **own) == base


def test_text_of_a_preset_has_its_measurements_as_comments():
    assert preset_text("retinanet_resnet10_320").startswith("#")


def test_name_that_leads_out_of_the_folder_is_not_a_preset():
    with pytest.raises(SpecError, match=r"'\.\./names' does not exist"):
        preset_text("../names")


def test_input_of_an_augmented_preset_has_its_scales():
    preset = load_preset("retinanet_resnet10_320").augmented({"scale": (0.5, 2)})
    assert preset.model_input(320).scale == (0.5, 2)
    overridden_preset = preset.overridden({"task.train_data.parser.aug_scale_max": 3.0})
    assert overridden_preset.model_input(320).scale == (0.5, 3)
