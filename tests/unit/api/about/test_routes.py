"""Tests of presets, schemas, version and health."""

import threading

import pytest

from slipway.errors import StoreUnavailable
from slipway.http.problems import Problem
from slipway.http.readiness import Readiness


def test_presets_come_with_what_was_measured(client):
    presets = {preset["name"]: preset for preset in client.get("/v1/presets").json()["items"]}
    small = presets["retinanet_resnet10_320"]
    assert (small["imageSize"], small["batchSize"], small["gpus"]) == (320, 8, 0)
    assert "AP50 0.911" in small["evidence"]
    assert (small["experimental"], presets["retinanet_efficientnet_lite0_256"]["experimental"]) == (False, True)
    assert not small["evidence"].startswith("#")


def test_the_schema_of_a_run_is_told(client):
    schema = client.get("/v1/schemas/TrainingRun").json()
    assert set(schema["properties"]) == {"apiVersion", "kind", "metadata", "spec"}
    assert schema["required"] == ["spec"]
    assert schema["$defs"]["TrainSpec"]["properties"]["steps"]["anyOf"][0]["maximum"] == 10_000_000


def test_another_schema_is_answered_with_those_there_are(client):
    answer = client.get("/v1/schemas/Job")
    assert answer.status_code == 404
    assert answer.json()["errors"][0]["valid"] == ["TrainingRun"]


def test_the_process_lives_whatever_else_does_not(client, cluster):
    cluster.is_away = True
    assert client.get("/healthz", headers={"Authorization": ""}).json() == {"status": "ok"}


def test_it_is_ready_when_the_store_and_the_cluster_answer(client):
    assert client.get("/readyz", headers={"Authorization": ""}).status_code == 200


def test_it_is_not_ready_without_a_cluster(client, cluster):
    cluster.is_away = True
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["detail"]) == (503, "the cluster does not answer")


def test_it_is_not_ready_without_a_store(client, store, monkeypatch):
    def fail(key):
        raise StoreUnavailable("s3://slipway: no answer from 10.0.0.7")

    monkeypatch.setattr(store, "stat", fail)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["detail"]) == (503, "the store does not answer")


def test_asking_often_whether_it_is_ready_asks_the_cluster_seldom(client, cluster):
    for _ in range(10):
        client.get("/readyz")
    assert cluster.reads == 1


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_no_page_with_scripts_from_elsewhere_is_served(client, path):
    assert client.get(path).status_code == 404


def test_nobody_waits_for_a_look_that_hangs():
    has_begun, may_go_on = threading.Event(), threading.Event()

    def hang():
        has_begun.set()
        may_go_on.wait(60)

    readiness = Readiness(hang)
    first = threading.Thread(target=readiness.check)
    first.start()
    has_begun.wait(60)
    with pytest.raises(Problem, match="no check has been made yet"):
        readiness.check()
    may_go_on.set()
    first.join()
    readiness.check()
