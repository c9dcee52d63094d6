import pytest

from slipway.errors import SpecError
from slipway.run.model_garden import check_overrides, nest, parse_assignments, table
from slipway.run.presets import load_preset, preset_names

FLIP = "task.train_data.parser.aug_rand_hflip"
GAMMA = "task.losses.focal_loss_gamma"
BACKBONE = "task.model.backbone.type"


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        pytest.param(FLIP, False, False, id="bool"),
        pytest.param(GAMMA, 2, 2.0, id="integer-for-a-number"),
        pytest.param(GAMMA, "1e-3", 0.001, id="exponent-that-yaml-reads-as-text"),
        pytest.param("task.losses.box_loss_weight", 60.0, 60, id="whole-number-for-an-integer"),
        pytest.param("task.model.anchor.aspect_ratios", [1, 2], [1.0, 2.0], id="list"),
        pytest.param("task.init_checkpoint_modules", "backbone", "backbone", id="text-or-a-list"),
        pytest.param("task.init_checkpoint_modules", ["backbone"], ["backbone"], id="list-or-a-text"),
        pytest.param("task.model.backbone.spinenet.model_id", 49, "49", id="digits-for-text"),
        pytest.param("task.train_data.parser.aug_type", None, None, id="empty-group"),
        pytest.param("task.train_data.parser.aug_type.type", "ssd_random_crop", "ssd_random_crop", id="choice"),
        pytest.param("runtime.loss_scale", 128, 128.0, id="number-before-text"),
        pytest.param("runtime.loss_scale", "dynamic", "dynamic", id="text-after-number"),
    ],
)
def test_value_has_the_type_of_its_field(key, value, expected):
    assert repr(check_overrides({key: value})) == repr({key: expected})


def test_nested_mappings_are_dotted_keys():
    assert check_overrides({"task": {"losses": {"focal_loss_gamma": 2}}}) == {GAMMA: 2.0}
    assert nest({GAMMA: 2.0, "task.model.min_level": 2}) == {
        "task": {"losses": {"focal_loss_gamma": 2.0}, "model": {"min_level": 2}}
    }


def test_group_that_was_null_is_filled():
    assert nest({"a.b": None, "a.b.c": 1}) == {"a": {"b": {"c": 1}}}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        pytest.param(GAMMA, "two", f"{GAMMA} is 'two', expected a number", id="text-for-a-number"),
        pytest.param(GAMMA, float("nan"), f"{GAMMA} is nan, expected a number", id="not-finite"),
        pytest.param(GAMMA, True, f"{GAMMA} is True, expected a number", id="bool-for-a-number"),
        pytest.param(GAMMA, None, f"{GAMMA} is None, expected a number", id="null-for-a-number"),
        pytest.param(FLIP, 1, f"{FLIP} is 1, expected true or false", id="number-for-a-bool"),
        pytest.param("task.model.min_level", 2.5, "task.model.min_level is 2.5, expected an integer", id="fraction"),
        pytest.param(
            "task.model.anchor.aspect_ratios",
            1,
            "task.model.anchor.aspect_ratios is 1, expected a list, each item a number",
            id="number-for-a-list",
        ),
        pytest.param(BACKBONE, "resnett", r"expected one of resnet, .* \(nearest: resnet, ", id="choice"),
        pytest.param("task.train_data.seed", "x", "expected null or an integer", id="two-types"),
    ],
)
def test_value_of_another_type_is_refused_with_the_right_one(key, value, message):
    with pytest.raises(SpecError, match=message):
        check_overrides({key: value})


@pytest.mark.parametrize(
    ("key", "suggestion"),
    [
        pytest.param("task.losses.focal_loss_gama", GAMMA, id="misspelled"),
        pytest.param("focal_loss_gamma", GAMMA, id="without-its-groups"),
        pytest.param("losses.focal_loss_gamma", GAMMA, id="without-its-first-group"),
        pytest.param("task.train_data.aug_rand_hflip", FLIP, id="without-a-group-inside"),
        pytest.param("task.loses.focal_loss_gamma", GAMMA, id="group-misspelled"),
    ],
)
def test_wrong_key_is_refused_with_the_nearest_one(key, suggestion):
    with pytest.raises(SpecError) as refusal:
        check_overrides({key: 1})
    text = str(refusal.value)
    assert text.startswith(f"{key} is not a field of Model Garden's configuration; nearest: {suggestion}")
    assert "\n" not in text


def test_group_is_refused_with_fields_of_it():
    with pytest.raises(SpecError, match=r"^task\.losses is a group of fields; name one; nearest: task\.losses\."):
        check_overrides({"task.losses": 1})


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("trainer.train_steps", r"use --steps \(train.steps\)"),
        ("trainer.checkpoint_interval", r"use --checkpoint-every \(train.checkpointEvery\)"),
        ("task.train_data.global_batch_size", r"use --batch-size \(train.batchSize\)"),
        ("task.model.input_size", r"use --image-size \(train.imageSize\)"),
        ("task.model.num_classes", "it follows from the labels of the dataset"),
        ("task.init_checkpoint", r"use --initial-checkpoint \(train.initialCheckpoint\)"),
        ("task.validation_data.input_path", "a run trains on the records of its dataset"),
        ("trainer.max_to_keep", "it has no effect in Slipway"),
        ("trainer.optimizer_config.ema.average_decay", "Slipway measures and exports the weights themselves"),
        ("runtime.enable_xla", "it has no effect in Slipway"),
    ],
)
def test_field_that_a_run_may_not_set_is_refused_with_the_reason(key, reason):
    assert key in table().fields
    with pytest.raises(SpecError, match=rf"^{key} cannot be set: {reason}"):
        check_overrides({key: 1})


@pytest.mark.parametrize(
    "key",
    [
        "trainer.optimizer_config.optimizer.type",
        "trainer.optimizer_config.learning_rate.cosine.initial_learning_rate",
        "trainer.optimizer_config.warmup.linear.warmup_steps",
        "runtime.mixed_precision_dtype",
        "task.freeze_backbone",
        "task.train_data.shuffle_buffer_size",
        "task.model.detection_generator.nms_iou_threshold",
    ],
)
def test_field_that_a_run_may_set_is_not_reserved(key):
    with pytest.raises(SpecError, match=f"^{key} is "):
        check_overrides({key: [[]]})


def test_all_faults_are_named_at_once():
    with pytest.raises(SpecError, match=r"^trainer\.train_steps cannot be set: .*; task\.losses\.focal_loss_gamma is "):
        check_overrides({"trainer.train_steps": 1, GAMMA: "x"})


def test_group_cannot_be_null_and_filled():
    group = "task.train_data.parser.aug_type"
    with pytest.raises(SpecError, match=rf"{group} is null, but {group}\.type is a field of it"):
        check_overrides({group: None, f"{group}.type": "randaug"})


@pytest.mark.parametrize("name", preset_names())
def test_overrides_of_a_preset_are_fields_of_model_garden(name):
    preset = load_preset(name)
    assert check_overrides(preset.overrides)
    assert preset.experiment in table().experiments


def test_assignments_are_yaml_and_the_last_of_a_key_counts():
    texts = [f"{GAMMA}=1", f" {GAMMA} = 2", f"{FLIP}=no", "task.model.anchor.aspect_ratios=[0.5, 1]"]
    assert parse_assignments(texts) == {GAMMA: 2.0, FLIP: False, "task.model.anchor.aspect_ratios": [0.5, 1.0]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GAMMA, f"--set {GAMMA}: expected KEY=VALUE, such as task.losses.focal_loss_gamma=2"),
        ("=2", "--set =2: expected KEY=VALUE"),
        (f"{GAMMA}=[1", rf"--set {GAMMA}=\[1: the value is not YAML"),
        (f"{GAMMA}=two", f"--set: {GAMMA} is 'two', expected a number"),
        ("task.loss=2", "--set: task.loss is not a field of Model Garden's configuration; nearest: task.losses.loss_"),
    ],
    ids=["no-value", "no-key", "not-yaml", "wrong-type", "wrong-key"],
)
def test_assignment_that_cannot_be_used_is_named(text, message):
    with pytest.raises(SpecError, match=f"^{message}"):
        parse_assignments([text])
