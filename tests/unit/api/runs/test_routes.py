"""Submit, list, get, act, delete."""

import json

import pytest

from slipway.errors import ClusterRefused
from tests.unit.api.conftest import SPEC, bearer

SHA = "ab" * 32


def submit(client, spec=SPEC, key=None, **metadata):
    headers = {"Idempotency-Key": key} if key else {}
    return client.post("/v1/runs", json={"metadata": metadata, "spec": spec}, headers=headers)


def test_a_submitted_run_is_an_object_that_says_who_asked(client, cluster):
    answer = submit(client, name="ponds")
    assert answer.status_code == 201
    assert answer.headers["location"] == "/v1/runs/ponds"
    assert answer.headers["etag"] == '"1"'
    assert answer.json()["metadata"] == {"name": "ponds", "createdAt": "2026-01-31T12:00:00Z", "owner": "crane"}
    assert answer.json()["status"] == {"state": "PENDING"}
    manifest = cluster.objects["ponds"]
    assert manifest["apiVersion"] == "slipway.dev/v1alpha1"
    assert manifest["spec"]["dataset"] == {"source": "s3://photos/ponds"}
    assert manifest["metadata"]["annotations"]["slipway.dev/owner"] == "crane"


def test_a_run_without_name_and_key_gets_a_new_name_each_time(client, cluster):
    assert [submit(client).status_code, submit(client).status_code] == [201, 201]
    assert len(cluster.objects) == 2


def test_a_name_that_is_taken_is_refused(client):
    submit(client, name="ponds")
    answer = submit(client, name="ponds")
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:slipway:problem:name-taken"


def test_a_name_whose_results_are_another_runs_is_refused(client, store, cluster):
    other = {"metadata": {"name": "ponds"}, "spec": {"dataset": {"source": "s3://photos/lakes"}}}
    store.write("runs/ponds/run.json", json.dumps(other).encode())
    answer = submit(client, name="ponds")
    assert answer.status_code == 409
    assert "earlier run" in answer.json()["detail"]
    assert cluster.objects == {}


@pytest.mark.parametrize(
    ("spec", "pointer", "valid"),
    [
        pytest.param({"dataset": {"source": "./ponds"}}, "/spec/dataset/source", None, id="local-folder"),
        pytest.param({"dataset": {"source": "s3://"}}, "/spec/dataset/source", None, id="no-bucket"),
        pytest.param({"dataset": {"ref": f"ponds@{SHA}"}}, "/spec/dataset/ref", None, id="unknown-dataset"),
        pytest.param({"dataset": {}}, "/spec/dataset", None, id="no-origin"),
        pytest.param(
            SPEC | {"train": {"preset": "yolo"}},
            "/spec/train/preset",
            [
                "retinanet_efficientnet_lite0_256",
                "retinanet_efficientnet_lite0_320",
                "retinanet_mobilenetv2_320",
                "retinanet_resnet10_320",
                "retinanet_resnet50_640",
                "retinanet_spinenet49mobile_384",
            ],
            id="unknown-preset",
        ),
        pytest.param(
            SPEC | {"train": {"overrides": {"task.loss": 1}}}, "/spec/train/overrides", None, id="unknown-override"
        ),
        pytest.param(
            SPEC | {"train": {"customPreset": {"base": "yolo"}}}, "/spec/train/customPreset", None, id="unknown-base"
        ),
        pytest.param(
            SPEC | {"train": {"customPreset": {"base": "retinanet_resnet10_320", "imageSize": 100}}},
            "/spec/train/customPreset/imageSize",
            None,
            id="field-of-a-preset",
        ),
        pytest.param(SPEC | {"train": {"steps": 0}}, "/spec/train/steps", None, id="out-of-range"),
        pytest.param(
            SPEC | {"until": "eval"},
            "/spec/until",
            ["ingest", "preprocess", "train", "export", "detect"],
            id="unknown-stage",
        ),
        pytest.param(SPEC | {"export": {"onnx": True}}, "/spec/export/onnx", ["tflite"], id="unknown-field"),
    ],
)
def test_a_wrong_field_is_pointed_at(client, cluster, spec, pointer, valid):
    answer = submit(client, spec)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    (error,) = answer.json()["errors"]
    assert error["pointer"] == pointer
    assert error.get("valid") == valid
    assert cluster.objects == {}


def test_a_body_that_is_no_object_is_said_so(client):
    answer = client.post("/v1/runs", json=[])
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("the body: Input should be")
    assert answer.json()["errors"][0]["pointer"] == ""


def test_several_wrong_fields_are_all_pointed_at(client):
    answer = submit(client, SPEC | {"until": "eval", "queue": "Not A Name"})
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/spec/until", "/spec/queue"]


def test_run_may_bring_its_own_preset(client, cluster):
    train = {"preset": "mine", "customPreset": {"base": "retinanet_resnet10_320", "epochs": 5}}
    assert submit(client, SPEC | {"train": train}).status_code == 201
    assert train.items() <= next(iter(cluster.objects.values()))["spec"]["train"].items()


def test_a_dataset_that_is_there_may_be_named(client, store):
    store.write(f"datasets/ponds/{SHA}/manifest.json", b"{}")
    assert submit(client, {"dataset": {"ref": f"ponds@{SHA}"}}).status_code == 201


def test_a_body_that_is_no_json_is_refused(client):
    answer = client.post("/v1/runs", content=b"{", headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert "not JSON" in answer.json()["detail"]


def test_a_body_of_another_type_is_refused(client):
    answer = client.post("/v1/runs", content=b"a: 1", headers={"Content-Type": "application/yaml"})
    assert answer.status_code == 415


def test_the_answer_has_an_etag_by_which_it_is_not_sent_again(client, cluster):
    submit(client, name="ponds")
    etag = client.get("/v1/runs/ponds").headers["etag"]
    second = client.get("/v1/runs/ponds", headers={"If-None-Match": f'"old", {etag}'})
    assert (second.status_code, second.content) == (304, b"")
    cluster.report("ponds", state="RUNNING")
    third = client.get("/v1/runs/ponds", headers={"If-None-Match": etag})
    assert third.status_code == 200
    assert third.json()["status"]["state"] == "RUNNING"
    assert third.headers["etag"] != etag


@pytest.mark.parametrize(
    ("state", "action", "spec"),
    [
        ("RUNNING", "cancel", {"cancel": True}),
        ("RUNNING", "suspend", {"suspend": True}),
        ("FAILED", "retry", {"attempt": 2, "cancel": False, "suspend": False}),
    ],
)
def test_an_action_changes_the_spec(client, cluster, state, action, spec):
    submit(client, name="ponds")
    cluster.report("ponds", state=state)
    answer = client.post(f"/v1/runs/ponds:{action}")
    assert answer.status_code == 200
    assert spec.items() <= answer.json()["spec"].items()
    assert spec.items() <= cluster.objects["ponds"]["spec"].items()


def test_resume_undoes_suspend(client, cluster):
    submit(client, name="ponds")
    client.post("/v1/runs/ponds:suspend")
    assert client.post("/v1/runs/ponds:resume").json()["spec"]["suspend"] is False


@pytest.mark.parametrize(
    ("state", "action", "reason"),
    [
        ("SUCCEEDED", "cancel", "nothing to cancel"),
        ("FAILED", "cancel", "nothing to cancel"),
        ("CANCELED", "suspend", "nothing to suspend"),
        ("SUCCEEDED", "resume", "nothing to resume"),
        ("RUNNING", "retry", "only a run that has failed"),
        ("SUCCEEDED", "retry", "only a run that has failed"),
    ],
)
def test_an_action_that_the_state_forbids_says_why(client, cluster, state, action, reason):
    submit(client, name="ponds")
    cluster.report("ponds", state=state)
    answer = client.post(f"/v1/runs/ponds:{action}")
    assert answer.status_code == 409
    assert f"ponds is {state}" in answer.json()["detail"]
    assert reason in answer.json()["detail"]


def test_a_second_retry_does_not_ask_for_a_third_attempt(client, cluster):
    submit(client, name="ponds")
    cluster.report("ponds", state="FAILED", attempt=1)
    client.post("/v1/runs/ponds:retry")
    answer = client.post("/v1/runs/ponds:retry")
    assert answer.status_code == 409
    assert "attempt 2 has been asked for" in answer.json()["detail"]
    assert cluster.objects["ponds"]["spec"]["attempt"] == 2


def test_an_action_on_what_has_changed_since_is_refused(client, cluster):
    etag = submit(client, name="ponds").headers["etag"]
    cluster.report("ponds", state="RUNNING")
    answer = client.post("/v1/runs/ponds:cancel", headers={"If-Match": etag})
    assert answer.status_code == 412
    assert cluster.objects["ponds"]["spec"]["cancel"] is False


def test_an_action_goes_on_when_the_controller_wrote_in_between(client, cluster):
    submit(client, name="ponds")
    patch, statuses = cluster.patch, iter(["RUNNING"])

    def meanwhile(name, spec, version):
        for state in statuses:
            cluster.report("ponds", state=state)
        return patch(name, spec, version)

    cluster.patch = meanwhile
    assert client.post("/v1/runs/ponds:cancel").json()["spec"]["cancel"] is True


def test_a_deleted_run_is_answered_from_the_store(app, client, cluster, store):
    submit(client, name="ponds")
    store.write("runs/ponds/run.json", json.dumps({"metadata": {"name": "ponds"}, "spec": SPEC}).encode())
    record = {"name": "ponds", "uid": "uid-0", "state": "SUCCEEDED", "best": {"step": 9, "AP": 0.5, "AP50": 0.8}}
    store.write("runs/ponds/record.json", json.dumps(record).encode())
    store.write("index/runs/2026-01-31T12:00:00Z-ponds", b"{}")
    assert client.delete("/v1/runs/ponds", headers=bearer("admin")).status_code == 204
    assert cluster.objects == {}
    answer = client.get("/v1/runs/ponds")
    assert answer.json()["metadata"] == {"name": "ponds", "createdAt": "2026-01-31T12:00:00Z"}
    assert answer.json()["status"] == {"state": "SUCCEEDED", "best": {"step": 9, "AP": 0.5, "AP50": 0.8}}
    assert client.post("/v1/runs/ponds:cancel").status_code == 409
    assert client.delete("/v1/runs/ponds", headers=bearer("admin")).status_code == 409


def test_a_run_whose_object_went_before_its_end_is_canceled(client, store):
    store.write("runs/ponds/run.json", json.dumps({"metadata": {"name": "ponds"}, "spec": SPEC}).encode())
    store.write("runs/ponds/record.json", json.dumps({"state": "RUNNING"}).encode())
    status = client.get("/v1/runs/ponds").json()["status"]
    assert status == {"state": "CANCELED", "reason": "its object is gone, and nothing recorded how it ended"}


def test_an_unknown_run_is_not_found(client):
    for answer in (client.get("/v1/runs/ponds"), client.post("/v1/runs/ponds:cancel")):
        assert answer.status_code == 404
        assert answer.json()["detail"] == "there is no run ponds"


def test_a_cluster_that_is_away_is_said_so(client, cluster):
    cluster.is_away = True
    answer = submit(client)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert answer.json()["type"] == "urn:slipway:problem:unavailable"


def test_what_the_cluster_will_not_have_is_said_with_its_reason(client, cluster):
    def refuse(manifest):
        raise ClusterRefused("create TrainingRun ponds: 422 spec is too new", 422)

    cluster.create = refuse
    answer = submit(client, name="ponds")
    assert answer.status_code == 422
    assert "spec is too new" in answer.json()["detail"]


def test_a_run_of_the_command_line_is_answered_as_its_results_say(client, store):
    run = {"metadata": {"name": "ponds"}, "spec": SPEC | {"until": "ingest", "attempt": 3}}
    store.write("runs/ponds/run.json", json.dumps(run).encode())
    store.write("runs/ponds/ingest/result.json", b"{}")
    assert client.get("/v1/runs/ponds").json()["status"] == {"state": "SUCCEEDED"}
    assert client.get("/v1/runs/ponds/events").text.endswith("event: end\ndata: SUCCEEDED\n\n")
