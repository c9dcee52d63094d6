"""Models are loaded once, when they are first requested, and removed for others."""

import asyncio
import threading

import pytest

from slipway.errors import BrokenExport, StoreUnavailable
from tests.unit.detector.serving.conftest import BEARER, JPEG, TestClient, image, write_export

from services.detector.serving import model_cache, model_loader
from services.detector.serving.model_cache import ModelCache
from services.detector.serving.model_loader import find_export, load_model


def ask(client, run):
    return client.post(f"/v1/models/{run}:predict", content=image(), headers=JPEG)


@pytest.fixture
def settings():
    return {"keptModels": 2}


def test_a_model_is_loaded_once(client, loader):
    assert [ask(client, "ponds").status_code for _ in range(3)] == [200, 200, 200]
    assert loader.runs == ["ponds"]


def test_requests_during_the_loading_wait_for_it(app, store, detector):
    """Ten at once, and the loading takes until all of them wait."""
    runs, may_end = [], threading.Event()

    def load(export):
        runs.append(export.run)
        assert may_end.wait(10)
        return model_loader.Model(export, detector, "")

    async def ten():
        source = model_cache.Source(lambda run: find_export(store, run), load)
        models = ModelCache(source, 2, app.state.context.metrics)
        requests = [asyncio.create_task(models.get("ponds")) for _ in range(10)]
        while not runs:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        may_end.set()
        return await asyncio.gather(*requests)

    assert len({id(model) for model in asyncio.run(ten())}) == 1
    assert runs == ["ponds"]


def test_the_least_recently_used_model_is_removed(client, store, loader, metric):
    for run in ("lakes", "marsh"):
        write_export(store, run)
    for run in ("ponds", "lakes", "ponds", "marsh", "ponds", "lakes"):
        assert ask(client, run).status_code == 200
    assert loader.runs == ["ponds", "lakes", "marsh", "lakes"]
    assert metric("models_loaded") == 2


def test_a_model_that_cannot_be_loaded_is_tried_again_by_the_next_request(client, loader):
    loader.errors = [BrokenExport("the export of run 'ponds' cannot be served: it is torn")]
    answer = ask(client, "ponds")
    assert (answer.status_code, answer.json()["detail"][-10:]) == (500, "it is torn")
    assert ask(client, "ponds").status_code == 200


def test_a_store_that_does_not_answer_is_answered_with_503(client, loader):
    loader.errors = [StoreUnavailable("s3://slipway: no answer")]
    answer = ask(client, "ponds")
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:slipway:problem:unavailable")
    assert "retry-after" in answer.headers


def test_a_run_that_was_made_again_is_loaded_again(client, store, loader, monkeypatch):
    first = ask(client, "ponds").json()["model"]["digest"]
    write_export(store, files={"saved_model/saved_model.pb": b"another"})
    assert ask(client, "ponds").json()["model"]["digest"] == first
    monkeypatch.setattr(model_cache, "_FRESH_SEC", 0)
    assert ask(client, "ponds").json()["model"]["digest"] != first
    ask(client, "ponds")
    assert loader.runs == ["ponds", "ponds"]


def test_a_model_in_memory_outlasts_the_store(client, store, loader, monkeypatch):
    ask(client, "ponds")

    def fail(key):
        raise StoreUnavailable("s3://slipway: no answer")

    monkeypatch.setattr(model_cache, "_FRESH_SEC", 0)
    monkeypatch.setattr(store, "read", fail)
    assert ask(client, "ponds").status_code == 200


def test_an_export_that_is_gone_is_not_served(client, store, monkeypatch, metric):
    ask(client, "ponds")
    monkeypatch.setattr(model_cache, "_FRESH_SEC", 0)
    store.delete("runs/ponds/export/manifest.json")
    assert ask(client, "ponds").status_code == 404
    assert metric("models_loaded") == 0


class TestAtTheStart:
    @pytest.fixture
    def settings(self):
        return {"models": ["ponds"]}

    def test_it_is_ready_when_the_models_of_the_settings_are_there(self, app, loader, events, monkeypatch):
        monkeypatch.setattr(model_cache, "_RETRY_SEC", 0.01)
        monkeypatch.setattr("slipway.http.readiness._EVERY_SEC", 0)
        loader.errors = [BrokenExport("torn")]
        with TestClient(app, headers=BEARER) as client:
            for _ in range(500):
                answer = client.get("/readyz", headers={"Authorization": ""})
                if answer.status_code == 200:
                    break
            assert answer.status_code == 200
        assert loader.runs == ["ponds", "ponds"]
        assert events("model_not_loaded") == [{"run": "ponds", "reason": "torn"}]

    def test_readiness_names_the_missing_model(self, app, store, monkeypatch):
        monkeypatch.setattr("slipway.http.readiness._EVERY_SEC", 0)
        store.delete("runs/ponds/export/manifest.json")
        with TestClient(app) as client:
            answer = client.get("/readyz")
        assert (answer.status_code, answer.json()["detail"]) == (503, "not loaded yet: ponds")


@pytest.mark.parametrize(
    ("key", "content", "message"),
    [
        ("saved_model/saved_model.pb", b"changed", "saved_model.pb: its SHA-256 is .*, the manifest says"),
        ("label_map.pbtxt", None, "label_map.pbtxt"),
    ],
    ids=["changed", "absent"],
)
def test_only_what_was_exported_is_loaded(store, tmp_path, key, content, message):
    export = find_export(store, "ponds")
    if content is None:
        store.delete(f"runs/ponds/export/{key}")
    else:
        store.write(f"runs/ponds/export/{key}", content)
    with pytest.raises(BrokenExport, match=f"the export of run 'ponds' cannot be served: .*{message}"):
        load_model(store, export, tmp_path)
    assert list(tmp_path.glob("slipway-export-*")) == []


def test_a_manifest_cannot_name_files_elsewhere(store, tmp_path):
    write_export(store)
    text = store.read("runs/ponds/export/manifest.json").replace(b"saved_model/saved", b"saved_model/../../../saved")
    store.write("runs/ponds/export/manifest.json", text)
    with pytest.raises(BrokenExport, match="is not a relative path"):
        load_model(store, find_export(store, "ponds"), tmp_path)


@pytest.mark.parametrize("content", [b"[", b"{}", b"\xff", b'{"files": {"a": "no digest"}}'])
def test_a_manifest_that_cannot_be_read_is_named(store, content):
    store.write("runs/ponds/export/manifest.json", content)
    with pytest.raises(BrokenExport, match=r"manifest\.json: not a manifest"):
        find_export(store, "ponds")
