import json

import pytest

from slipway.errors import SpecError
from tests.unit.cli.conftest import slipway

from services.cli.commands.submit import SubmitRequest, read_body
from services.cli.remote import credentials

pytestmark = pytest.mark.usefixtures("logged_in")


def test_a_run_file_becomes_a_run(run_file, cluster, capsys):
    assert slipway("submit", run_file) == 0
    assert capsys.readouterr().out == "run ponds\nfollow it with: slipway status ponds --watch\n"
    assert cluster.objects["ponds"]["spec"]["train"]["steps"] == 30


def test_the_same_file_submitted_again_is_the_same_run(run_file, cluster, capsys):
    assert [slipway("submit", run_file), slipway("submit", run_file)] == [0, 0]
    assert capsys.readouterr().out.splitlines()[-1] == "run ponds was submitted before; it is PENDING"
    assert len(cluster.objects) == 1


def test_a_file_without_a_name_is_one_run_too(run_file, cluster):
    run_file.write_text(run_file.read_text().replace("metadata: {name: ponds}\n", ""))
    assert [slipway("submit", run_file), slipway("submit", run_file)] == [0, 0]
    assert len(cluster.objects) == 1


def test_another_key_is_another_run(run_file, cluster):
    run_file.write_text(run_file.read_text().replace("metadata: {name: ponds}\n", ""))
    assert [slipway("submit", run_file, "--idempotency-key", key) for key in "ab"] == [0, 0]
    assert len(cluster.objects) == 2


def test_a_name_that_is_given_wins(run_file, cluster):
    assert slipway("submit", run_file, "--name", "other") == 0
    assert list(cluster.objects) == ["other"]


def test_fields_of_model_garden_are_set_over_those_of_the_file(run_file, cluster):
    run_file.write_text(
        run_file.read_text().replace("steps: 30", "steps: 30, overrides: {task.losses.focal_loss_gamma: 1}")
    )
    assignments = ["--set", "task.losses.focal_loss_gamma=2", "--set", "task.freeze_backbone=true"]
    assert slipway("submit", run_file, *assignments) == 0
    assert cluster.objects["ponds"]["spec"]["train"] | {"gpus": 0, "workers": 1, "seed": 0} == {
        "steps": 30,
        "gpus": 0,
        "workers": 1,
        "seed": 0,
        "overrides": {"task.losses.focal_loss_gamma": 2.0, "task.freeze_backbone": True},
    }


def test_augmentation_is_set_over_that_of_the_file(run_file, cluster):
    run_file.write_text(run_file.read_text().replace("steps: 30", "steps: 30, augment: {flip: true, colour: 0.2}"))
    assert slipway("submit", run_file, "--augment", "flip=false", "--augment", "scale=0.5,2") == 0
    assert cluster.objects["ponds"]["spec"]["train"]["augment"] == {"flip": False, "scale": [0.5, 2.0], "colour": 0.2}


def test_wrong_augmentation_is_refused_before_anything_is_sent(run_file, cluster, capsys):
    assert slipway("submit", run_file, "--augment", "mosaic=2") == 65
    assert capsys.readouterr().err.startswith("slipway: --augment mosaic: Input should be less than or equal to 1")
    assert cluster.objects == {}


def test_preset_of_a_file_is_sent_with_the_run(run_file, cluster):
    file = run_file.parent / "mine.yaml"
    file.write_text("base: retinanet_resnet10_320\nmin_steps: 10\n")
    assert slipway("submit", run_file, "--preset", file) == 0
    train = cluster.objects["ponds"]["spec"]["train"]
    assert (train["preset"], train["customPreset"]) == ("mine", {"base": "retinanet_resnet10_320", "minSteps": 10})


def test_named_preset_replaces_that_of_the_file(run_file, cluster):
    own = "steps: 30, preset: mine, customPreset: {base: retinanet_resnet10_320}"
    run_file.write_text(run_file.read_text().replace("steps: 30", own))
    assert slipway("submit", run_file, "--preset", "retinanet_mobilenetv2_320") == 0
    train = cluster.objects["ponds"]["spec"]["train"]
    assert (train["preset"], "customPreset" in train) == ("retinanet_mobilenetv2_320", False)


def test_wrong_field_of_model_garden_is_refused_before_anything_is_sent(run_file, cluster, capsys):
    assert slipway("submit", run_file, "--set", "task.loss=2") == 65
    assert capsys.readouterr().err.startswith(
        "slipway: --set: task.loss is not a field of Model Garden's configuration"
    )
    assert cluster.objects == {}


def test_overrides_of_a_file_that_are_a_list_are_refused_rather_than_replaced(run_file):
    run_file.write_text(run_file.read_text().replace("steps: 30", "steps: 30, overrides: [a=1]"))
    with pytest.raises(SpecError, match=r"spec\.train\.overrides is \['a=1'\], expected fields with values"):
        read_body(SubmitRequest(run_file, assignments=("task.freeze_backbone=true",)))


def test_a_name_that_is_taken_is_told(ponds, run_file, capsys):
    assert slipway("submit", run_file, "--idempotency-key", "another") == 65
    assert "there is a run ponds; give this one another name" in capsys.readouterr().err


def test_a_wrong_field_is_told_with_its_pointer(run_file, capsys):
    run_file.write_text(run_file.read_text().replace("steps: 30", "steps: 30, preset: yolo"))
    assert slipway("submit", run_file) == 65
    output = capsys.readouterr().err
    assert "/spec/train/preset: there is no preset 'yolo'; valid: retinanet_efficientnet_lite0_256, " in output
    assert "Traceback" not in output


def test_json_is_the_run(run_file, capsys):
    assert slipway("submit", run_file, "--json") == 0
    assert json.loads(capsys.readouterr().out)["metadata"]["name"] == "ponds"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [", "not YAML"),
        ("- a", "not a TrainingRun"),
        ("spec: {train: {learningRate: .nan}}", "a value that JSON cannot express"),
        ("? [a, b]\n: c", "not YAML"),
        ("spec: {dataset: {source: ./ponds}}", "slipway dataset push ./ponds"),
    ],
)
def test_a_file_that_cannot_be_a_run_is_told_before_anything_is_sent(tmp_path, text, says):
    file = tmp_path / "a.yaml"
    file.write_text(text)
    with pytest.raises(SpecError, match=says):
        read_body(SubmitRequest(file))


def test_a_date_in_a_file_is_its_text(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text("metadata: {name: 2026-01-31}")
    assert read_body(SubmitRequest(file)) == {"metadata": {"name": "2026-01-31"}}


def test_a_file_that_is_absent_is_told(tmp_path, capsys):
    assert slipway("submit", tmp_path / "none.yaml") == 65
    assert "none.yaml: cannot be read" in capsys.readouterr().err


def test_no_server_is_75(run_file, monkeypatch, capsys):
    monkeypatch.setenv("SLIPWAY_API_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(credentials, "PATIENCE_SEC", 0.05)
    assert slipway("submit", run_file) == 75
    assert "no answer" in capsys.readouterr().err
