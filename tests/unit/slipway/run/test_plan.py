import pytest

from slipway.errors import BrokenDocument, SpecError
from slipway.run.augmentation import Augmentation
from slipway.run.from_data.anchor_coverage import TrainBoxes
from slipway.run.plan import Choice, Plan, initial_checkpoint, resolve
from slipway.run.presets import load_preset
from slipway.run.spec import TrainSpec


def plan(images=400, median=(640, 480), **fields):
    return resolve(TrainSpec(**fields), images, median)


def test_spec_without_a_gpu_gets_the_preset_for_a_cpu():
    run_plan = plan()
    assert (run_plan.preset, run_plan.image_size, run_plan.batch_size) == ("retinanet_efficientnet_lite0_320", 320, 8)
    assert run_plan.reasons["preset"].startswith("no GPU asked for")


def test_gpu_gets_the_measured_preset_and_a_reason_that_names_the_experimental_one():
    run_plan = plan(gpus=1)
    assert run_plan.preset == "retinanet_efficientnet_lite0_320"
    assert run_plan.reasons["preset"] == (
        "1 GPU asked for: the best preset with measured figures; to try one that is made for a GPU and experimental: "
        "--preset retinanet_resnet50_640 (train.preset)"
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("preset", "retinanet_mobilenetv2_320"),
        ("steps", 7),
        ("batch_size", 3),
        ("image_size", 128),
        ("learning_rate", 0.5),
        ("checkpoint_every", 5),
        ("patience", 0),
        ("initial_checkpoint", "/weights"),
    ],
)
def test_field_of_the_spec_is_used_as_it_is(field, value):
    run_plan = plan(**{field: value})
    assert (getattr(run_plan, field), run_plan.reasons[field]) == (value, "as asked")


def test_every_choice_has_a_reason():
    run_plan = plan()
    of_weights = {"initial_checkpoint_sha256", "initial_checkpoint_modules"}  # ingest adds them
    assert set(run_plan.reasons) == set(Plan.model_fields) - {"overrides", "reasons"} - of_weights


def test_fields_of_model_garden_that_the_run_sets_are_choices_of_their_own():
    gamma, levels = "task.losses.focal_loss_gamma", "task.model.max_level"
    run_plan = plan(overrides={gamma: 2, levels: 7})
    assert run_plan.overrides == {gamma: 2.0, levels: 7}
    assert run_plan.choices[gamma] == Choice(value=2.0, reason="as asked")
    assert Plan.parse(run_plan.dump()) == run_plan
    assert b"task.losses.focal_loss_gamma:\n  value: 2.0\n  reason: as asked\n" in run_plan.dump()


def test_levels_that_the_run_sets_decide_the_multiple_of_the_image_size():
    run_plan = plan(overrides={"task.model.max_level": 7})
    assert (run_plan.image_size, plan(overrides={"task.model.max_level": 7}, median=(200, 100)).image_size) == (
        384,
        256,
    )
    assert run_plan.reasons["image_size"].startswith("the preset's 320, raised to a multiple of 128; ")
    with pytest.raises(SpecError, match=r"imageSize is 320, .* needs a multiple of 128"):
        plan(overrides={"task.model.max_level": 7}, image_size=320)


def test_learning_rate_of_the_overrides_is_that_of_the_plan():
    rate = "trainer.optimizer_config.learning_rate.cosine.initial_learning_rate"
    run_plan = plan(overrides={rate: 0.01}, learning_rate=0.5)
    assert (run_plan.learning_rate, run_plan.reasons["learning_rate"]) == (0.01, "as asked")


@pytest.mark.parametrize(
    ("median", "size"),
    [
        pytest.param((640, 480), 320, id="larger-than-the-preset"),
        pytest.param((200, 150), 256, id="smaller-is-rounded-up-to-64"),
        pytest.param((40, 30), 128, id="tiny"),
        pytest.param((320, 240), 320, id="just-so"),
    ],
)
def test_images_are_not_enlarged(median, size):
    assert plan(median=median).image_size == size


@pytest.mark.parametrize(
    ("images", "steps", "reason"),
    [
        pytest.param(400, 800, "16 epochs of 400 images are 800 steps of 8", id="by-epochs"),
        pytest.param(40, 600, "below 600 a detector from so few images is not done", id="few"),
        pytest.param(100_000, 20_000, "more than 20000 is not chosen without being asked for", id="many"),
    ],
)
def test_the_length_follows_the_number_of_images(images, steps, reason):
    run_plan = plan(images=images)
    assert run_plan.steps == steps
    assert reason in run_plan.reasons["steps"]


def test_a_batch_is_no_larger_than_the_train_split():
    assert plan(images=3).batch_size == 3


def test_the_learning_rate_follows_the_batch_size():
    assert plan(batch_size=32).learning_rate == pytest.approx(2 * plan(batch_size=8).learning_rate)


def test_ten_evaluations_are_planned():
    assert plan(steps=1234).checkpoint_every == 124


@pytest.mark.parametrize(
    ("steps", "checkpoint_every", "patience"), [(1000, None, 5), (60, 20, 2), (10, 10, 1), (1000, 1, 500)]
)
def test_patience_is_half_of_the_evaluations(steps, checkpoint_every, patience):
    assert plan(steps=steps, checkpoint_every=checkpoint_every).patience == patience


def test_experimental_preset_is_never_chosen_unless_a_run_names_it():
    chosen_presets = {plan(images, gpus=gpus).preset for images in (1, 10, 200, 100_000) for gpus in (0, 1, 8)}
    assert not any(load_preset(name).experimental for name in chosen_presets)
    assert plan(preset="retinanet_efficientnet_lite0_256").preset == "retinanet_efficientnet_lite0_256"


def test_preset_of_a_package_starts_from_its_weights():
    run_plan = plan(images=180, preset="retinanet_efficientnet_lite0_256")
    assert (run_plan.image_size, run_plan.batch_size, run_plan.steps) == (256, 8, 600)
    assert run_plan.initial_checkpoint == "imagenet-efficientnet-lite0"
    assert run_plan.reasons["initial_checkpoint"] == "the preset's"


def test_scratch_gets_the_preset_that_needs_no_weights():
    run_plan = plan(initial_checkpoint="scratch")
    assert (run_plan.preset, run_plan.initial_checkpoint) == ("retinanet_resnet10_320", None)
    assert run_plan.reasons["preset"] == "the preset that learns most from scratch, as asked"


def test_scratch_means_no_initial_checkpoint():
    assert plan(preset="retinanet_resnet50_640", initial_checkpoint="scratch").initial_checkpoint is None


def test_augmentation_is_the_presets():
    run_plan = plan()
    assert run_plan.augmentation == load_preset(run_plan.preset).augment
    assert run_plan.choices["augment_scale"] == Choice(value=[0.8, 1.25], reason="the preset's")


def test_augmentation_that_was_asked_for_replaces_the_presets():
    run_plan = plan(augment={"flip": False, "scale": [1, 1], "mosaic": 0.5})
    assert run_plan.augmentation == Augmentation(flip=False, scale=(1, 1), crop=False, colour=0, mosaic=0.5)
    assert (run_plan.reasons["augment_flip"], run_plan.reasons["augment_crop"]) == ("as asked", "the preset's")


def test_fields_of_model_garden_show_in_the_augmentation():
    run_plan = plan(overrides={"task.train_data.parser.aug_scale_max": 1})
    assert run_plan.augmentation.scale == (0.8, 1)
    assert run_plan.reasons["augment_scale"] == "from the fields of Model Garden"


def test_images_of_rare_classes_are_seen_more_often_unless_it_is_turned_off():
    boxes = TrainBoxes(images_per_label={"duck": 400, "heron": 4})
    plan = resolve(TrainSpec(), 404, (640, 480), boxes)
    assert (plan.class_repeats, plan.reasons["class_repeats"][:6]) == ({"heron": 4.0}, "'duck'")
    plan = resolve(TrainSpec(class_repeats=False), 404, (640, 480), boxes)
    assert (plan.class_repeats, plan.reasons["class_repeats"]) == ({}, "as asked")


def test_images_are_not_mirrored_if_labels_tell_left_from_right_unless_it_was_asked_for():
    labels = ("arrow-left", "arrow-right", "stop")
    run_plan = resolve(TrainSpec(), 400, (640, 480), labels=labels)
    assert run_plan.augment_flip is False
    assert run_plan.reasons["augment_flip"] == (
        "labels 'arrow-left' and 'arrow-right' differ only by their side; flip=true mirrors images all the same"
    )
    asked_plan = resolve(TrainSpec.model_validate({"augment": {"flip": True}}), 400, (640, 480), labels=labels)
    assert (asked_plan.augment_flip, asked_plan.reasons["augment_flip"]) == (True, "as asked")


def test_plan_of_an_older_version_has_the_augmentation_of_that_version():
    lines = plan().dump().decode().splitlines(keepends=True)
    begin = lines.index("augment_flip:\n")
    older = "".join(lines[:begin])
    assert Plan.parse(older.encode()).augmentation == Augmentation(flip=True, scale=(0.7, 1.5), mosaic=0, colour=0)


def test_the_plan_is_read_back():
    assert Plan.parse(plan().dump()) == plan()


def test_a_choice_of_a_newer_version_is_ignored():
    newer = plan().dump() + b"optimizer:\n  value: adam\n  reason: as asked\n"
    assert Plan.parse(newer) == plan()


def test_a_plan_without_its_steps_is_refused_by_name():
    older = plan(steps=7).dump().replace(b"steps:", b"stages:")
    with pytest.raises(BrokenDocument, match=r"^runs/a/ingest/resolved\.yaml: steps: Field required"):
        Plan.parse(older, "runs/a/ingest/resolved.yaml")


@pytest.mark.parametrize("text", [b"", b"[1]", b"a: {", b"a: 1"], ids=["empty", "a-list", "cut-off", "no-reason"])
def test_what_is_not_a_plan_is_refused(text):
    with pytest.raises(BrokenDocument, match=r"^a\.yaml: .*it is damaged"):
        Plan.parse(text, "a.yaml")


@pytest.mark.parametrize("name", ["mine", None])
def test_preset_of_ones_own_is_the_runs_preset(name):
    content = {"base": "retinanet_resnet10_320", "imageSize": 256, "epochs": 5, "minSteps": 10}
    run_plan = plan(preset=name, custom_preset=content)
    assert (run_plan.preset, run_plan.image_size, run_plan.steps) == (name or "custom", 256, 250)
    assert run_plan.reasons["preset"] == "as asked: a preset of one's own, based on retinanet_resnet10_320"


def test_fields_of_a_preset_of_ones_own_are_choices_and_those_of_the_run_win():
    gamma, alpha = "task.losses.focal_loss_gamma", "task.losses.focal_loss_alpha"
    content = {"base": "retinanet_resnet10_320", "overrides": {gamma: 2, alpha: 0.5}}
    run_plan = plan(preset="mine", custom_preset=content, overrides={gamma: 1})
    assert run_plan.choices[alpha] == Choice(value=0.5, reason="of the preset mine")
    assert run_plan.choices[gamma] == Choice(value=1.0, reason="as asked")


def test_anchors_of_a_preset_of_ones_own_are_kept_as_asked():
    content = {"base": "retinanet_resnet10_320", "overrides": {"task.model.anchor.aspect_ratios": [0.2, 5]}}
    run_plan = plan(custom_preset=content)
    assert (run_plan.anchors.aspect_ratios, run_plan.reasons["anchors"]) == ((0.2, 5.0), "as asked")


def test_an_unknown_preset_is_answered_with_those_there_are():
    with pytest.raises(SpecError, match=r"'yolo' does not exist; choose one of .*retinanet_resnet10_320"):
        plan(preset="yolo")


def test_size_that_the_preset_cannot_take_is_refused_and_names_the_multiple():
    with pytest.raises(SpecError, match="imageSize is 320, preset retinanet_resnet50_640 needs a multiple of 128"):
        plan(preset="retinanet_resnet50_640", image_size=320)


def test_size_of_a_preset_with_coarser_features_is_a_multiple_of_their_stride():
    assert plan(preset="retinanet_resnet50_640", median=(400, 300)).image_size == 512


def test_digest_and_modules_of_weights_are_choices_only_if_there_are_some():
    assert not {"initial_checkpoint_sha256", "initial_checkpoint_modules"} & set(plan().choices)
    weights = {"initial_checkpoint_sha256": "ab" * 32, "initial_checkpoint_modules": ("backbone",)}
    run_plan = plan().model_copy(update=weights)
    assert run_plan.choices["initial_checkpoint_modules"].value == ["backbone"]
    assert Plan.parse(run_plan.dump()).initial_checkpoint_modules == ("backbone",)


def test_initial_checkpoint_is_known_before_the_images():
    preset, address = initial_checkpoint(TrainSpec(preset="retinanet_efficientnet_lite0_256"))
    assert (preset.name, address) == ("retinanet_efficientnet_lite0_256", "imagenet-efficientnet-lite0")
    assert initial_checkpoint(TrainSpec(preset=preset.name, initial_checkpoint="scratch"))[1] is None
    assert initial_checkpoint(TrainSpec(initial_checkpoint="run:ponds"))[1] == "run:ponds"
