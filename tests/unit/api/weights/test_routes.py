"""Initial checkpoints over HTTP; archives are not trusted."""

import io
import tarfile
import zipfile

import pytest

from slipway.weights.stored import find_kept
from tests.fakes.bucket import FakeBucket
from tests.fakes.checkpoints import write_checkpoint
from tests.unit.api.conftest import bearer, stored_keys

ZIP = {"Content-Type": "application/zip"}
ADDRESS = "https://example.org/coco.tar.gz"


@pytest.fixture
def store(tmp_path):
    return FakeBucket(tmp_path / "store")


def make_zip(tmp_path, value=b"\0", names=("ckpt-5",)):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            folder = tmp_path / f"made-{value.hex()}"
            write_checkpoint(folder / name, {"backbone": [(3, 3)]}, value)
            for file in folder.glob(f"{name}.*"):
                archive.write(file, f"coco/{file.name}")
    return buffer.getvalue()


def send(client, content, name="coco", headers=ZIP, **query):
    return client.post("/v1/weights", params={"name": name, **query}, content=content, headers=headers)


def test_weights_are_kept_under_name_and_address(client, store, tmp_path, events):
    answer = send(client, make_zip(tmp_path), address=ADDRESS)
    assert answer.status_code == 201, answer.text
    named, addressed = answer.json()["items"]
    sha = named["sha256"]
    assert (named["address"], addressed["address"], named["user"]) == ("coco", ADDRESS, "crane")
    assert find_kept(store, "coco").sha256 == find_kept(store, ADDRESS).sha256 == sha
    assert stored_keys(store, "checkpoints/initial") == [
        f"checkpoints/initial/{sha}/ckpt-5.data-00000-of-00001",
        f"checkpoints/initial/{sha}/ckpt-5.index",
    ]
    assert stored_keys(store, "incoming") == []
    assert [(e["action"], e["target"], e["outcome"]) for e in events("audit")] == [("weights.upload", "coco", "done")]


def test_weights_are_listed_by_name(client, tmp_path):
    send(client, make_zip(tmp_path), "b")
    send(client, make_zip(tmp_path), "a")
    answer = client.get("/v1/weights", headers=bearer("viewer"))
    assert [item["address"] for item in answer.json()["items"]] == ["a", "b"]


def test_the_same_weights_may_be_sent_again_but_no_others_under_the_name(client, store, tmp_path):
    first = send(client, make_zip(tmp_path)).json()["items"][0]
    assert send(client, make_zip(tmp_path)).status_code == 201
    answer = send(client, make_zip(tmp_path, b"\1"))
    assert (answer.status_code, "already means other weights" in answer.json()["detail"]) == (422, True)
    assert find_kept(store, "coco").sha256 == first["sha256"]


@pytest.mark.parametrize("name", ["scratch", "imagenet-efficientnet-lite0", "Coco", "a/b", ""])
def test_names_that_mean_something_else_are_refused(client, store, tmp_path, name):
    assert send(client, make_zip(tmp_path), name).status_code == 422
    assert stored_keys(store) == []


def test_address_has_to_be_one_that_runs_may_name(client, tmp_path):
    assert send(client, make_zip(tmp_path), address="http://example.org/w.tar.gz").status_code == 422


@pytest.mark.parametrize("content", [b"", b"<html>", b"PK\3\4"], ids=["empty", "page", "cut"])
def test_what_is_not_an_archive_is_refused_and_leaves_nothing(client, store, content):
    assert send(client, content).status_code == 422
    assert stored_keys(store) == []


def test_archive_without_one_checkpoint_or_with_a_hostile_name_leaves_nothing(client, store, tmp_path):
    assert "expected one checkpoint" in send(client, make_zip(tmp_path, names=("a", "b"))).json()["detail"]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("../../outside.index"))
    answer = send(client, buffer.getvalue(), headers={"Content-Type": "application/gzip"})
    assert "outside the archive's own folder" in answer.json()["detail"]
    assert stored_keys(store) == []


def test_viewers_may_not_send_and_other_bodies_are_refused(client, tmp_path):
    answer = send(client, make_zip(tmp_path), headers=ZIP | bearer("viewer"))
    assert answer.status_code == 403
    assert send(client, b"{}", headers={"Content-Type": "application/json"}).status_code == 415


class TestLimits:
    @pytest.fixture
    def limits(self):
        return {"bodyBytes": 100, "uploadBytes": 300, "requestsPerSecond": 1000, "burst": 1000}

    def test_longer_archives_than_the_limit_are_refused(self, client, store):
        assert send(client, b"x" * 301).status_code == 413
        assert stored_keys(store) == []
