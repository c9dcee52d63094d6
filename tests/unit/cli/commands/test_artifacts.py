import json

import pytest

from slipway import keys
from tests.unit.cli.conftest import slipway

from services.cli.remote.downloads import ETAGS

ARTIFACTS = {"report.html": b"<html>", "export/model.tflite": b"T" * 3000, "export/saved_model/saved_model.pb": b"pb"}


@pytest.fixture
def ponds(logged_in, store, cluster):
    """A run that has made something."""
    cluster.create({"metadata": {"name": "ponds"}, "spec": {"dataset": {"source": "s3://photos/ponds"}}})
    for path, content in ARTIFACTS.items():
        store.write(f"{keys.run_folder('ponds')}/{path}", content)
    return "ponds"


def files(folder):
    contents = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {path: content for path, content in contents.items() if path != ETAGS}


def test_artifacts_are_listed_with_their_sizes(ponds, capsys):
    assert slipway("artifacts", "ponds") == 0
    assert capsys.readouterr().out.splitlines() == [
        "    3.0 kB  export/model.tflite",
        "       2 B  export/saved_model/saved_model.pb",
        "       6 B  report.html",
    ]


def test_artifacts_are_listed_for_machines(ponds, capsys):
    assert slipway("artifacts", "ponds", "report.html", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"items": [{"path": "report.html", "bytes": 6}]}


def test_all_artifacts_are_fetched(ponds, tmp_path, capsys):
    assert slipway("artifacts", "ponds", "--out", tmp_path / "here") == 0
    assert files(tmp_path / "here") == ARTIFACTS
    assert capsys.readouterr().out.splitlines()[-1] == f"3 artifacts, 3.0 kB, are in {tmp_path}/here"


def test_a_folder_of_artifacts_is_fetched(ponds, tmp_path):
    assert slipway("artifacts", "ponds", "export/", "--out", tmp_path / "here") == 0
    assert sorted(files(tmp_path / "here")) == ["export/model.tflite", "export/saved_model/saved_model.pb"]


def test_an_artifact_that_is_not_there_is_told(ponds, tmp_path, capsys):
    assert slipway("artifacts", "ponds", "lunch", "--out", tmp_path / "here") == 65
    assert "run ponds has no artifact lunch" in capsys.readouterr().err


def test_what_changed_meanwhile_is_fetched_again_and_the_rest_is_kept(ponds, tmp_path, store):
    out = tmp_path / "here"
    assert slipway("artifacts", "ponds", "--out", out) == 0
    inode = (out / "export/model.tflite").stat().st_ino
    store.write(f"{keys.run_folder('ponds')}/report.html", b"newer!")
    assert slipway("artifacts", "ponds", "--out", out) == 0
    assert files(out) == ARTIFACTS | {"report.html": b"newer!"}
    assert (out / "export/model.tflite").stat().st_ino == inode


def test_a_file_for_a_folder_is_refused(ponds, tmp_path, capsys):
    (tmp_path / "here").touch()
    assert slipway("artifacts", "ponds", "--out", tmp_path / "here") == 65
    assert "is a file; give a folder" in capsys.readouterr().err
