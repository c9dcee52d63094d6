import pytest

from slipway.errors import SpecError
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


def test_text_of_a_preset_has_its_measurements_as_comments():
    assert preset_text("retinanet_resnet10_320").startswith("#")


def test_name_that_leads_out_of_the_folder_is_not_a_preset():
    with pytest.raises(SpecError, match=r"'\.\./names' does not exist"):
        preset_text("../names")
