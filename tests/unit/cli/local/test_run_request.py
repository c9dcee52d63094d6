import pytest

from slipway.errors import InputError, SpecError
from slipway.run.augmentation import AugmentSpec

from services.cli.local.run_request import RunRequest, run_specs, training_run, training_runs

LABEL_MAP = "item { id: 1 name: 'duck' }\n"


def run_of(source, **options):
    return training_run(RunRequest(source, options), source.parent / "out")


def test_a_run_is_named_after_its_folder_and_its_digest(source):
    run = run_of(source)
    assert run.metadata.name == f"my-ponds-{run.spec.digest()[:8]}"


def test_the_same_folder_and_options_are_the_same_run(source):
    assert run_of(source, steps=7) == run_of(source, steps=7)


def test_another_option_is_another_run(source):
    assert run_of(source, steps=7).metadata.name != run_of(source, steps=8).metadata.name


def test_a_changed_folder_is_another_run(source):
    name = run_of(source).metadata.name
    (source / "a.xml").write_text("<annotation></annotation>")
    assert run_of(source).metadata.name != name


def test_the_seed_is_the_partitions_and_the_trainings(source):
    spec = run_of(source, seed=5).spec
    assert (spec.ingest.seed, spec.train.seed) == (5, 5)


def test_options_that_are_not_given_set_nothing(source):
    assert run_of(source, steps=None, invalid=None).spec == run_of(source).spec


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"steps": 0}, r"--steps: .*greater than or equal to 1 \(got 0\)"),
        ({"batch_size": 0}, r"--batch-size: .* \(got 0\)"),
        ({"image_size": 100}, r"--image-size: .*multiple of 32 \(got 100\)"),
        ({"learning_rate": -1.0}, r"--learning-rate: .* \(got -1.0\)"),
        ({"test_ratio": 1.5}, r"--test-ratio: .* \(got 1.5\)"),
        ({"seed": -1}, r"--seed: .* \(got -1\)"),
        ({"invalid": "ignore"}, r"--invalid: .*'fail' or 'drop' \(got 'ignore'\)"),
        ({"until": "lunch"}, r"--until: .*'ingest', 'preprocess'.* \(got 'lunch'\)"),
        ({"set": ["task.loss=2"]}, r"^--set: task\.loss is not a field .*; nearest: task\.losses\."),
        ({"set": ["trainer.train_steps=2"]}, r"^--set: trainer\.train_steps cannot be set: use --steps"),
        ({"augment": ["mosiac=1"]}, "--augment: there is no mosiac; choose from flip, scale, crop, colour, mosaic"),
        ({"augment": ["mosaic=2"]}, r"--augment mosaic: .*less than or equal to 1 \(got '2'\)"),
        ({"augment": ["flip"]}, "--augment flip: expected KEY=VALUE, such as flip=false"),
        ({"preset": "yolo"}, "preset 'yolo' does not exist; choose one of retinanet"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_wrong_option_is_named_with_what_was_given(source, options, says):
    with pytest.raises(SpecError, match=says):
        run_of(source, **options)


def test_a_wrong_name_is_named(source):
    with pytest.raises(SpecError, match=r"--name: .*\(got 'My Run'\)"):
        training_run(RunRequest(source, {}, name="My Run"), source.parent / "out")


def test_a_missing_folder_is_told(tmp_path):
    with pytest.raises(InputError, match="none: no such folder"):
        run_of(tmp_path / "none")


@pytest.mark.parametrize("inside", ["slipway-out", ".", "deep/out"])
def test_outputs_inside_the_folder_are_refused(source, inside):
    with pytest.raises(InputError, match="outputs would become input"):
        training_run(RunRequest(source, {}), source / inside)


@pytest.mark.parametrize("place", ["outside", "inside"])
def test_a_label_map_is_taken_as_text(source, tmp_path, place):
    folder = tmp_path if place == "outside" else source
    (folder / "map.pbtxt").write_text(LABEL_MAP)
    label_map = str(tmp_path / "map.pbtxt") if place == "outside" else "map.pbtxt"
    assert run_of(source, label_map=label_map).spec.ingest.label_map == LABEL_MAP


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "no such file"), ("", "--label-map .*map.pbtxt"), (b"\xff", "is not text: .* save it as UTF-8")],
)
def test_a_label_map_that_is_none_is_refused_before_anything_is_read(source, tmp_path, content, says):
    if content is not None:
        (tmp_path / "map.pbtxt").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=says):
        run_of(source, label_map=str(tmp_path / "map.pbtxt"))


def test_a_local_initial_checkpoint_does_not_depend_on_where_one_stands(source, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights").mkdir()
    (tmp_path / "ckpt-5.index").touch()
    for value in ("weights", "ckpt-5", "absent/weights"):
        assert run_of(source, initial_checkpoint=value).spec.train.initial_checkpoint == str(tmp_path / value)


@pytest.mark.parametrize(
    "value",
    ["scratch", "imagenet-efficientnet-lite0", "https://host/w.tar.gz", "s3://bucket/w", "run:ponds-1", "coco-r50"],
)
def test_any_other_initial_checkpoint_is_left_alone(source, value):
    assert run_of(source, initial_checkpoint=value).spec.train.initial_checkpoint == value


def run_file(source, spec="train: {steps: 7, batchSize: 2}"):
    file = source.parent / "run.yaml"
    file.write_text(f"metadata: {{name: filed}}\nspec:\n  dataset: {{source: '{source.name}'}}\n  {spec}\n")
    return file


def test_a_run_files_source_is_beside_the_file(source):
    run = training_run(RunRequest(None, {}, file=run_file(source)), source.parent / "out")
    assert (run.metadata.name, run.spec.dataset.source, run.spec.train.steps) == ("filed", str(source), 7)


def test_options_beside_a_run_file_win(source):
    run = training_run(RunRequest(None, {"steps": 9}, "other", run_file(source)), source.parent / "out")
    assert (run.metadata.name, run.spec.train.steps, run.spec.train.batch_size) == ("other", 9, 2)


def test_set_changes_single_fields_of_a_run_files_overrides(source):
    overrides = "train: {overrides: {task.losses.focal_loss_gamma: 1, task: {losses: {focal_loss_alpha: 0.5}}}}"
    request = RunRequest(None, {"set": ["task.losses.focal_loss_gamma=2"]}, file=run_file(source, overrides))
    assert training_run(request, source.parent / "out").spec.train.overrides == {
        "task.losses.focal_loss_gamma": 2.0,
        "task.losses.focal_loss_alpha": 0.5,
    }


def preset_file(source, text="base: retinanet_resnet10_320\nepochs: 5\n", name="mine.yaml"):
    file = source.parent / name
    file.write_text(text)
    return str(file)


def test_preset_of_a_file_is_in_the_run_so_that_the_run_does_not_need_the_file(source):
    train = run_of(source, preset=preset_file(source)).spec.train
    assert (train.preset, train.custom_preset.base, train.custom_preset.epochs) == ("mine", "retinanet_resnet10_320", 5)
    name = run_of(source, preset=preset_file(source)).metadata.name
    assert name != run_of(source, preset=preset_file(source, "base: retinanet_resnet10_320\nepochs: 6\n")).metadata.name


def test_weights_of_a_preset_file_are_beside_it(source):
    text = "base: retinanet_resnet10_320\ninitial_checkpoint: weights/ckpt-1\n"
    train = run_of(source, preset=preset_file(source, text)).spec.train
    assert train.custom_preset.initial_checkpoint == str(source.parent / "weights/ckpt-1")


def test_named_preset_replaces_that_of_a_run_file(source):
    base = "retinanet_resnet10_320"
    file = run_file(source, f"train: {{preset: mine, customPreset: {{base: {base}}}}}")
    assert training_run(RunRequest(None, {}, file=file), source.parent / "out").spec.train.custom_preset.base == base
    train = training_run(RunRequest(None, {"preset": base}, file=file), source.parent / "out").spec.train
    assert (train.preset, train.custom_preset) == (base, None)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "mine.yaml",
            "base: retinanet_resnet10_320\nepoch: 5",
            r"^--preset .*mine\.yaml: .*epoch is not .*nearest: epochs",
        ),
        (
            "retinanet_resnet10_320.yaml",
            "",
            r"there is a built-in preset retinanet_resnet10_320; give the file another",
        ),
    ],
    ids=["wrong-field", "built-in-name"],
)
def test_preset_file_that_cannot_be_used_is_named(source, name, text, message):
    with pytest.raises(SpecError, match=message):
        run_of(source, preset=preset_file(source, text, name))


def test_missing_preset_file_is_named(source):
    with pytest.raises(InputError, match=r"none\.yaml: cannot be read as text"):
        run_of(source, preset="none.yaml")


def test_a_run_file_that_suspends_is_for_a_cluster(source):
    with pytest.raises(SpecError, match="suspend and cancel are for a cluster"):
        training_run(RunRequest(None, {}, file=run_file(source, "suspend: true")), source.parent / "out")


def test_either_a_folder_or_a_file(source):
    for both in (RunRequest(source, {}, file=run_file(source)), RunRequest(None, {})):
        with pytest.raises(SpecError, match="give either a FOLDER of annotated images, or a run file"):
            training_run(both, source.parent / "out")


def test_runs_that_differ_in_options_are_named_after_their_digests(source, tmp_path):
    request = RunRequest(source, {"steps": 30})
    runs = training_runs(request, [{"learning_rate": 0.1}, {"train.seed": 7}, {}], tmp_path / "out")
    assert [(run.spec.train.learning_rate, run.spec.train.seed) for run in runs] == [(0.1, 0), (None, 7), (None, 0)]
    assert [run.metadata.name for run in runs] == [f"my-ponds-{run.spec.digest()[:8]}" for run in runs]
    assert runs[2] == training_run(request, tmp_path / "out")


def test_a_value_that_no_run_can_have_names_its_option(source, tmp_path):
    with pytest.raises(SpecError, match=r"--steps: Input should be greater than or equal to 1 \(got 0\)"):
        training_runs(RunRequest(source, {}), [{"steps": 10}, {"steps": 0}], tmp_path / "out")


def test_runs_set_fields_of_model_garden_beside_those_of_the_request(source, tmp_path):
    request = RunRequest(source, {"set": {"task.losses.focal_loss_gamma": 2.0}})
    (spec,) = run_specs(RunRequest(source, {}), [{"set": {"task.losses.focal_loss_gamma": 1.5}}])
    assert spec.train.overrides == {"task.losses.focal_loss_gamma": 1.5}
    assert training_run(request, tmp_path / "out").spec.train.overrides == {"task.losses.focal_loss_gamma": 2.0}


def test_augmentation_beside_a_run_files_is_merged_with_it(source):
    file = run_file(source, "train: {augment: {flip: false, mosaic: 0.5}}")
    run = training_run(RunRequest(None, {"augment": ["mosaic=1", "scale=0.5,2"]}, file=file), source.parent / "out")
    assert run.spec.train.augment == AugmentSpec(flip=False, mosaic=1, scale=(0.5, 2))


def test_class_repeats_that_are_turned_on_again_are_left_out(source):
    file = run_file(source, "train: {classRepeats: false}")
    specs = [
        training_run(RunRequest(None, {"class_repeats": value}, file=file), source.parent / "out").spec
        for value in (None, False, True)
    ]
    assert [spec.train.class_repeats for spec in specs] == [False, False, None]


def test_augmentation_of_a_sweep_is_one_text(source):
    specs = run_specs(RunRequest(source, {}), [{"augment": "mosaic=0"}, {"augment": "mosaic=0.5"}, {}])
    assert [spec.train.augment for spec in specs] == [AugmentSpec(mosaic=0), AugmentSpec(mosaic=0.5), None]
