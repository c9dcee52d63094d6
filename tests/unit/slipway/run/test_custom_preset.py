import dataclasses

import pytest

from slipway.errors import SpecError
from slipway.run.custom_preset import CustomPreset, parse_custom_preset
from slipway.run.presets import Preset, load_preset, preset_names, preset_text

BASE = "retinanet_resnet10_320"


def refusal_of(text):
    with pytest.raises(SpecError) as refusal:
        parse_custom_preset(text, "mine.yaml")
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_its_fields_are_those_of_a_built_in_preset_and_a_base():
    assert {*CustomPreset.model_fields} == {field.name for field in dataclasses.fields(Preset)} - {"name"} | {"base"}


@pytest.mark.parametrize("name", preset_names())
def test_text_of_a_built_in_preset_makes_that_preset(name):
    assert parse_custom_preset(preset_text(name), "copy.yaml").build(name) == load_preset(name)


def test_values_replace_those_of_the_base_and_overrides_single_fields():
    text = f"""
base: {BASE}
epochs: 5
overrides:
  task.losses.focal_loss_gamma: 2
  task: {{model: {{backbone: {{type: mobilenet, mobilenet: {{model_id: MobileNetV2}}}}}}}}
"""
    preset, base = parse_custom_preset(text, "mine.yaml").build("mine"), load_preset(BASE)
    assert (preset.name, preset.epochs, preset.batch_size, preset.summary) == ("mine", 5, 8, base.summary)
    assert preset.overrides["task"]["losses"] == {"focal_loss_gamma": 2.0, "l2_weight_decay": 0.0}
    backbone = preset.overrides["task"]["model"]["backbone"]
    assert (backbone["type"], backbone["mobilenet"]) == ("mobilenet", {"model_id": "MobileNetV2"})
    assert preset.overrides["task"]["model"]["head"] == base.overrides["task"]["model"]["head"]


def test_augment_replaces_single_fields_of_the_base():
    preset, base = CustomPreset(base=BASE, augment={"mosaic": 0.5}).build("mine"), load_preset(BASE)
    assert preset.augment == base.augment.model_copy(update={"mosaic": 0.5})


def test_scratch_takes_the_weights_of_the_base_away():
    base = "retinanet_efficientnet_lite0_256"
    assert CustomPreset(base=base).build("mine").initial_checkpoint == "imagenet-efficientnet-lite0"
    assert CustomPreset(base=base, initial_checkpoint="scratch").build("mine").initial_checkpoint is None


def test_levels_that_it_does_not_set_are_those_of_model_garden():
    text = preset_text(BASE).replace("      max_level: 6\n", "")
    assert parse_custom_preset(text, "mine.yaml").build("mine").coarsest_stride == 128


def test_unknown_field_is_named_with_file_and_nearest_fields():
    text = refusal_of(f"base: {BASE}\nimage_sise: 320")
    assert text.startswith("mine.yaml: the document: image_sise is not a field of a preset; nearest: image_size, ")


def test_unknown_field_of_model_garden_is_named_with_file_and_nearest_fields():
    text = refusal_of(f"base: {BASE}\noverrides: {{task: {{losses: {{focal_loss_gama: 2}}}}}}")
    assert text.startswith(
        "mine.yaml: overrides: task.losses.focal_loss_gama is not a field of Model Garden's configuration; "
        "nearest: task.losses.focal_loss_gamma, "
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"base: {BASE}\nimage_size: big", "mine.yaml: image_size: Input should be a valid integer"),
        (f"base: {BASE}\nimage_size: 100", "mine.yaml: image_size: Input should be a multiple of 32 (got 100)"),
        (f"base: {BASE}\nexperiment: yolo", "experiment is 'yolo', expected one of retinanet, retinanet_mobile_coco"),
        (f"base: {BASE}\nmin_steps: 30000", "min_steps is 30000, more than max_steps, 20000"),
        (
            f"base: {BASE}\noverrides: {{trainer.train_steps: 5}}",
            "overrides: trainer.train_steps cannot be set: use --st",
        ),
        (
            f"base: {BASE}\noverrides: {{trainer.optimizer_config.learning_rate.cosine.initial_learning_rate: 1}}",
            "initial_learning_rate cannot be set in a preset: use learning_rate",
        ),
        ("base: yolo", "preset 'yolo' does not exist; choose one of retinanet"),
        (
            "epochs: 5",
            "summary, experiment, image_size, batch_size, learning_rate, min_steps, max_steps, gpus: missing",
        ),
        ("", "mine.yaml: the document: Input should be a valid dictionary"),
        ("- 1", "mine.yaml: the document: Input should be a valid dictionary"),
        ("a: [", "mine.yaml: not YAML: "),
    ],
    ids=[
        "type",
        "range",
        "experiment",
        "steps",
        "reserved",
        "learning-rate",
        "base",
        "incomplete",
        "empty",
        "list",
        "not-yaml",
    ],
)
def test_what_is_wrong_is_named_in_one_line(text, message):
    assert message in refusal_of(text)
