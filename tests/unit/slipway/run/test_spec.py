import pytest
from pydantic import ValidationError

from slipway.run.spec import RunSpec, TrainingRun


def spec(**fields):
    return RunSpec.model_validate({"dataset": {"source": "/ponds", "sha256": "ab" * 32}, **fields})


def test_stages_end_with_until():
    assert spec(until="train").stages == ("ingest", "preprocess", "train")


@pytest.mark.parametrize(
    "same",
    [
        {"suspend": True},
        {"cancel": True},
        {"attempt": 2},
        {"queue": "teams"},
        {"preprocess": {"workers": 9}},
        {"train": {"gpus": 0}},
        {"ingest": {"trainShare": 1}},
        {"train": {"workers": 2, "pool": "a100"}},
        {"train": {"classRepeats": True}},
    ],
    ids=str,
)
def test_the_digest_is_blind_to(same):
    assert spec(**same).digest() == spec().digest()


@pytest.mark.parametrize(
    "other",
    [
        {"train": {"steps": 7}},
        {"ingest": {"trainShare": 0.5}},
        {"ingest": {"seed": 1}},
        {"until": "train"},
        {"train": {"seed": 1}},
        {"train": {"augment": {"mosaic": 0.5}}},
        {"train": {"classRepeats": False}},
    ],
    ids=str,
)
def test_the_digest_sees(other):
    assert spec(**other).digest() != spec().digest()


def test_the_digest_goes_by_the_sources_content_and_not_by_its_folder():
    moved_spec = RunSpec.model_validate({"dataset": {"source": "/elsewhere", "sha256": "ab" * 32}})
    changed_spec = RunSpec.model_validate({"dataset": {"source": "/ponds", "sha256": "cd" * 32}})
    assert moved_spec.digest() == spec().digest() != changed_spec.digest()


def test_the_digest_without_a_content_digest_goes_by_the_address():
    one, other = (RunSpec.model_validate({"dataset": {"source": f"s3://b/{name}"}}) for name in "ab")
    assert one.digest() != other.digest()


@pytest.mark.parametrize(
    ("detect", "digest"),
    [
        ({}, "0c960516fa83d63945b9e10362e19383766c663e8dff3c1df6b2c5663d15b662"),
        ({"scoreThreshold": 0.4}, "0c960516fa83d63945b9e10362e19383766c663e8dff3c1df6b2c5663d15b662"),
        ({"scoreThreshold": 0.3}, "b829154e54133431e379af68278b2d57f87b5d6876f52e4cea1dca87bbb12bc4"),
        ({"maxImages": 3}, "c2d664947bac73853fc1f930757f325fa39f7ead3d55f6616501e9e4c24be3df"),
    ],
    ids=["default", "its-former-value", "another-threshold", "other-field"],
)
def test_the_digest_is_that_of_older_versions_which_had_a_fixed_threshold(detect, digest):
    assert spec(detect=detect).digest() == digest


def test_the_digest_sees_overrides_and_not_how_they_are_written():
    key = "task.losses.focal_loss_gamma"
    digests = {
        spec(train={"overrides": overrides}).digest()
        for overrides in ({key: 2}, {key: 2.0}, {"task": {"losses": {"focal_loss_gamma": 2}}})
    }
    assert len(digests) == 1
    assert digests != {spec().digest()}
    assert spec(train={"overrides": {}}).digest() == spec(train={"overrides": None}).digest() == spec().digest()


def test_null_of_a_group_is_kept():
    overrides = {"task.train_data.parser.aug_type": None}
    run = TrainingRun.model_validate({"metadata": {"name": "a"}, "spec": spec(train={"overrides": overrides})})
    assert TrainingRun.model_validate_json(run.dump()).spec.train.overrides == overrides
    assert run.spec.digest() != spec().digest()


def test_wrong_override_is_refused_with_the_nearest_field():
    with pytest.raises(ValidationError, match=r"train\.overrides\n.*task\.loss is not .*nearest: task\.losses\."):
        spec(train={"overrides": {"task.loss": 1}})


def test_preset_of_ones_own_is_part_of_the_digest_by_its_content():
    digests = {
        spec(train={"preset": "mine", "customPreset": {"base": "retinanet_resnet10_320", "epochs": epochs}}).digest()
        for epochs in (5, 6)
    }
    assert len(digests | {spec().digest()}) == 3


def test_preset_of_ones_own_is_read_back_from_run_json():
    content = {"base": "retinanet_resnet10_320", "overrides": {"task.losses.focal_loss_gamma": 2}}
    train = {"preset": "mine", "customPreset": content}
    run = TrainingRun.model_validate({"metadata": {"name": "a"}, "spec": spec(train=train)})
    read_run = TrainingRun.model_validate_json(run.dump())
    assert read_run == run
    assert read_run.spec.train.find_preset("mine").overrides["task"]["losses"]["focal_loss_gamma"] == 2.0


def test_preset_of_ones_own_may_not_have_the_name_of_another():
    with pytest.raises(
        ValidationError, match="there is a built-in preset retinanet_resnet10_320; give your own another"
    ):
        spec(train={"preset": "retinanet_resnet10_320", "customPreset": {"base": "retinanet_resnet10_320"}})


def test_augmentation_that_is_left_out_is_not_written():
    assert b"augment" not in TrainingRun.model_validate({"metadata": {"name": "a"}, "spec": spec()}).dump()


def test_the_kind_is_a_training_run():
    assert TrainingRun.model_validate({"metadata": {"name": "a"}, "spec": spec()}).kind == "TrainingRun"


def test_a_dataset_that_was_ingested_is_used_as_it_is():
    ref = {"ref": f"ponds@{'ab' * 32}"}
    assert RunSpec.model_validate({"dataset": ref, "ingest": {"trainShare": 1}}).ingest.train_share is None
    with pytest.raises(ValidationError, match=r"ingest\.trainShare needs dataset\.source"):
        RunSpec.model_validate({"dataset": ref, "ingest": {"trainShare": 0.5}})
