"""The form that submits a run: it is the schema, and loses nothing that was typed."""

import json
import re

import pytest

from slipway.http.problems import Problem
from tests.unit.api.auth.test_sessions import OURS
from tests.unit.api.conftest import bearer

from services.api.pages.form_fields import run_file
from services.api.pages.submit_form import build_form
from services.api.runs.listing import Runs
from services.api.runs.submit import RunRequest

SHA = "ab" * 32


@pytest.fixture
def runs(cluster, store):
    return Runs(cluster, store)


def send(client, **fields):
    values = {name.replace("__", "/"): value for name, value in fields.items()}
    return client.post("/submit", data=values, headers=OURS, follow_redirects=False)


def flat(schema, definitions, path=""):
    """Return the pointers of all fields that are no objects themselves."""
    pointers = set()
    for name, inner in schema["properties"].items():
        reference = inner.get("$ref", "").rpartition("/")[2]
        pointers |= flat(definitions[reference], definitions, f"{path}/{name}") if reference else {f"{path}/{name}"}
    return pointers


def test_every_field_of_the_schema_is_in_the_build_form(runs):
    schema = RunRequest.model_json_schema(by_alias=True)
    view = build_form(runs, {})
    fields = [*view.main_fields, *(field for group in view.groups for field in group.fields)]
    omitted_fields = {"/apiVersion", "/kind", "/spec/suspend", "/spec/cancel", "/spec/attempt"}
    assert {field.pointer for field in fields} == flat(schema, schema["$defs"]) - omitted_fields
    assert len({field.id for field in fields}) == len(fields)


def test_fields_have_the_help_and_the_defaults_of_the_schema(runs):
    fields = {field.pointer: field for group in build_form(runs, {}).groups for field in group.fields}
    assert fields["/spec/train/learningRate"].help == "Peak learning rate, after warm-up."
    assert fields["/spec/train/learningRate"].label == "Learning rate"
    assert fields["/spec/detect/maxImages"].default == "50"
    assert fields["/spec/detect/scoreThreshold"].default == ""
    assert [*fields["/spec/ingest/invalid"].choices] == ["fail", "drop"]
    assert (fields["/spec/export/tflite"].kind, fields["/spec/export/tflite"].value) == ("checkbox", "on")


def test_presets_are_chosen_from_with_what_was_measured(client):
    page = client.get("/submit").text
    assert '<option value="retinanet_resnet10_320">retinanet_resnet10_320 · small data on a CPU' in page
    assert "AP50 0.911" in page
    assert "retinanet_resnet50_640 · experimental: fine-tuned from COCO, on a GPU</option>" in page


def test_what_is_left_empty_is_left_out():
    values = {
        "/metadata/name": "ponds",
        "/spec/train/steps": " 300 ",
        "/spec/train/gpus": "",
        "/spec/export/tflite": "on",
    }
    assert json.loads(run_file(values)) == {
        "metadata": {"name": "ponds"},
        "spec": {"dataset": {}, "train": {"steps": "300"}, "export": {"tflite": True}},
    }


def test_fields_of_model_garden_are_written_as_yaml():
    text = "task.losses.focal_loss_gamma: 2\ntask.freeze_backbone: true\n"
    overrides = {"task.losses.focal_loss_gamma": 2, "task.freeze_backbone": True}
    assert json.loads(run_file({"/spec/train/overrides": text}))["spec"]["train"] == {"overrides": overrides}
    assert json.loads(run_file({"/spec/train/overrides": "a: ["}))["spec"]["train"] == {"overrides": "a: ["}


def test_augmentation_of_the_form_is_that_of_the_run(client, cluster):
    text = "flip: false\nscale: 0.5,2"
    send(client, __metadata__name="ponds", __spec__dataset__source="s3://ponds/x", __spec__train__augment=text)
    assert cluster.objects["ponds"]["spec"]["train"]["augment"] == {"flip": False, "scale": [0.5, 2.0]}
    answer = send(client, __spec__dataset__source="s3://ponds/x", __spec__train__augment="mosiac: 1")
    assert 'class="error">there is no mosiac; choose from flip, scale' in answer.text


@pytest.mark.parametrize(("text", "value"), [("", None), ("true", None), ("false", False)])
def test_switch_that_is_left_alone_is_left_out(client, cluster, text, value):
    fields = {"__spec__train__classRepeats": text, "__spec__dataset__source": "s3://photos/ponds"}
    send(client, __metadata__name="ponds", **fields)
    assert cluster.objects["ponds"]["spec"].get("train", {}).get("classRepeats") is value


def test_wrong_field_of_model_garden_is_said_at_its_field(client):
    fields = {"/spec/dataset/source": "s3://photos/ponds", "/spec/train/overrides": "task.loss: 2"}
    answer = client.post("/submit", data=fields, headers=OURS)
    assert answer.status_code == 422
    assert 'class="error">task.loss is not a field of Model Garden' in answer.text
    assert ">task.loss: 2</textarea>" in answer.text


def test_a_field_that_is_none_of_the_form_is_passed_over():
    assert json.loads(run_file({"/spec/cancel": "true", "/spec/attempt": "9"}))["spec"] == {
        "dataset": {},
        "export": {"tflite": False},
    }


def test_a_form_that_is_right_makes_a_run(client, cluster, events):
    answer = send(
        client, __metadata__name="ponds", __spec__dataset__source="s3://photos/ponds", __spec__train__steps="300"
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/runs/ponds")
    spec = cluster.objects["ponds"]["spec"]
    assert (spec["dataset"], spec["train"]["steps"]) == ({"source": "s3://photos/ponds"}, 300)
    assert spec["export"] == {"tflite": False}
    assert cluster.objects["ponds"]["metadata"]["annotations"]["slipway.dev/owner"] == "crane"
    (fields,) = events("audit")
    assert (fields["action"], fields["target"], fields["outcome"]) == ("run.create", "ponds", "done")


def test_a_form_that_is_sent_twice_makes_one_run(client, cluster):
    key = re.search(r'name="key" value="(\w+)"', client.get("/submit").text)[1]
    first, second = (send(client, key=key, __spec__dataset__source="s3://photos/ponds") for _ in range(2))
    assert first.headers["location"] == second.headers["location"]
    assert len(cluster.objects) == 1


@pytest.mark.parametrize(
    ("pointer", "text", "message"),
    [
        ("/spec/train/steps", "many", "Input should be a valid integer"),
        ("/spec/train/steps", "0", "Input should be greater than or equal to 1"),
        ("/spec/dataset/source", "./ponds", "a cluster sees no folder"),
        (
            "/spec/train/preset",
            "yolo",
            "there is no preset &#39;yolo&#39;; choose one of retinanet_efficientnet_lite0_256",
        ),
        ("/spec/train/pool", "No Name", "String should match pattern"),
        ("/metadata/name", "Ponds!", "String should match pattern"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_nothing_is_lost(client, cluster, pointer, text, message):
    fields = {"/spec/dataset/source": "s3://photos/ponds", "/spec/ingest/testRatio": "0.25"} | {pointer: text}
    answer = client.post("/submit", data=fields, headers=OURS)
    assert answer.status_code == 422
    assert cluster.objects == {}
    id = pointer.strip("/").replace("/", "-")
    field_html = re.search(rf'<div class="field \w+ wrong">\s*<label for="{id}">.*?</div>', answer.text, re.DOTALL)[0]
    assert message in field_html
    assert f'value="{text}"' in field_html
    for other, value in fields.items():
        assert f'value="{value}"' in answer.text, other


def test_what_is_wrong_with_no_single_field_is_said_above(client):
    answer = send(client, __metadata__name="ponds")
    assert answer.status_code == 422
    assert "give either source or ref" in re.search(r'<ul class="errors".*?</ul>', answer.text, re.DOTALL)[0]


def test_a_name_that_is_taken_is_said_at_the_name(client, cluster):
    send(client, __metadata__name="ponds", __spec__dataset__source="s3://photos/ponds")
    answer = send(client, __metadata__name="ponds", __spec__dataset__source="s3://photos/lakes")
    assert answer.status_code == 409
    assert 'class="error">there is a run ponds' in answer.text


def test_only_what_was_touched_is_open_groups(runs):
    def open_groups(values):
        return [group.title for group in build_form(runs, values, Problem(422, "wrong")).groups if group.is_open]

    assert open_groups({"/spec/ingest/invalid": "fail", "/spec/export/tflite": "on", "/spec/ingest/seed": "0"}) == []
    assert open_groups({"/spec/ingest/invalid": "drop"}) == ["Ingest", "Export"]


def test_a_dataset_is_chosen_by_the_address(client, store):
    manifest = {"name": "ponds", "sha256": SHA, "labels": [], "splits": {}, "median_size": [640, 480]}
    store.write(f"datasets/ponds/{SHA}/manifest.json", json.dumps(manifest).encode())
    page = client.get(f"/submit?dataset=ponds@{SHA}").text
    assert f'<option value="ponds@{SHA}" selected>ponds@abababab' in page
    assert "Upload images" not in page
    assert "Upload images" in client.get("/submit").text


def test_initial_checkpoints_of_the_installation_are_offered(client, cluster, store, runs):
    kept = {"address": "harbour-weights", "sha256": SHA, "bytes": 14_000_000, "kept_at": "2026-01-31T12:00:00Z"}
    store.write("checkpoints/addresses/0.json", json.dumps(kept).encode())
    for name, until in (("ponds", "detect"), ("upload", "ingest"), ("going-on", "detect")):
        fields = {"__metadata__name": name, "__spec__until": until}
        send(client, **fields, __spec__dataset__source="s3://photos/ponds")
    for name in ("ponds", "upload"):
        cluster.objects[name]["status"] = {"state": "SUCCEEDED"}
    page, id = client.get("/submit").text, "spec-train-initialCheckpoint-choices"
    datalist = re.search(rf'<input[^>]* list="{id}"[^>]*>\s*<datalist id="{id}">(.*?)</datalist>', page)[1]
    assert re.findall(r'value="([^"]+)">([^<]+)<', datalist) == [
        ("scratch", "no pretrained weights"),
        ("imagenet-efficientnet-lite0", "EfficientNet-Lite0 trained on ImageNet (ILSVRC 2012)"),
        ("harbour-weights", "14 MB, from 2026-01-31"),
        ("run:ponds", "best checkpoint of this run"),
    ]
    cluster.is_away = True
    fields = [field for group in build_form(runs, {}).groups for field in group.fields]
    assert [[*field.choices][-1] for field in fields if field.label == "Initial checkpoint"] == ["harbour-weights"]


def test_other_initial_checkpoints_may_be_typed(client, cluster):
    address = "s3://weights/harbour"
    fields = {"__metadata__name": "ponds", "__spec__train__initialCheckpoint": address}
    send(client, **fields, __spec__dataset__source="s3://photos/ponds")
    assert cluster.objects["ponds"]["spec"]["train"]["initialCheckpoint"] == address


def test_what_was_typed_is_escaped(client):
    answer = send(client, __metadata__name='"><script>alert(1)</script>')
    assert "<script>alert" not in answer.text


def test_the_form_is_for_who_may_submit(client):
    assert client.get("/submit", headers=bearer("viewer")).status_code == 403
