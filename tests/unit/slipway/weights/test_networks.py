"""The check that a checkpoint has the variables of a preset's model."""

from dataclasses import replace

import pytest

from slipway.errors import InputError, SpecError
from slipway.run.packaged_weights import PACKAGED_WEIGHTS
from slipway.run.presets import load_preset, preset_names
from slipway.weights.networks import check_modules, modules_of, network_of, packaged_modules

SMALL = "retinanet_resnet10_320"


def with_modules(names):
    preset = load_preset(SMALL)
    task = {**preset.overrides["task"], "init_checkpoint_modules": names}
    return replace(preset, overrides={**preset.overrides, "task": task})


def shapes(module, preset=SMALL):
    return dict(network_of(load_preset(preset)).modules[module])


@pytest.mark.parametrize("name", preset_names())
def test_shapes_of_every_preset_are_current(name):
    """If this fails, a preset's backbone, decoder or levels were changed: `make networks`."""
    assert network_of(load_preset(name)), f"{name}: run make networks"


@pytest.mark.parametrize("name", PACKAGED_WEIGHTS)
def test_packaged_weights_fit_a_preset(name):
    check_modules(packaged_modules(name), ["backbone"], load_preset("retinanet_efficientnet_lite0_256"))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("backbone", ("backbone",)),
        (["backbone", "decoder"], ("backbone", "decoder")),
        ("all", ("backbone", "decoder", "head")),
    ],
)
def test_modules_are_those_of_the_preset(names, expected):
    assert modules_of(with_modules(names)) == expected


@pytest.mark.parametrize("names", ["bakbone", ["backbone", "head"], [], "backbone,decoder"])
def test_unknown_module_is_refused(names):
    with pytest.raises(
        SpecError, match=r"init_checkpoint_modules is .*; give 'all', or a list of 'backbone' and 'decoder'"
    ):
        modules_of(with_modules(names))


def test_checkpoint_with_more_modules_than_are_taken_fits():
    content = {"backbone": shapes("backbone"), "model": {"1": 9}, "optimizer": {"2": 9}}
    check_modules(content, ["backbone"], load_preset(SMALL))


def test_missing_module_is_named_with_those_that_are_there():
    with pytest.raises(
        InputError, match=r"it holds \['head'\], expected backbone, which preset retinanet_resnet10_320"
    ):
        check_modules({"head": {"3": 1}, "save_counter": {}}, ["backbone"], load_preset(SMALL))


def test_other_network_is_refused_with_the_difference():
    content = {"backbone": {**shapes("backbone"), "1x1x32x8": 16}}
    with pytest.raises(InputError, match=r"its backbone is not that of preset .* 16 not expected, such as 1x1x32x8"):
        check_modules(content, ["backbone"], load_preset(SMALL))
    with pytest.raises(InputError, match=r"variables, expected .* missing, such as"):
        check_modules({"backbone": {"3": 1}}, ["backbone"], load_preset(SMALL))


@pytest.mark.parametrize("other", [name for name in preset_names() if name != SMALL])
def test_no_other_presets_backbone_fits(other):
    with pytest.raises(InputError, match="its backbone is not that of preset"):
        check_modules({"backbone": shapes("backbone", other)}, ["backbone"], load_preset(SMALL))


def test_shapes_of_a_changed_model_are_left_to_the_trainer():
    preset = load_preset(SMALL)
    model = {**preset.overrides["task"]["model"], "max_level": 7}
    changed = replace(preset, overrides={"task": {**preset.overrides["task"], "model": model}})
    assert network_of(changed) is None
    check_modules({"backbone": {"3": 1}}, ["backbone"], changed)
