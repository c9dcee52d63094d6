"""An archive as the source of a local run."""

import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from slipway.archives import BadArchive
from slipway.store.folder import FolderStore
from slipway.store.interface import list_keys

from services.cli.local.run_request import RunRequest, training_run
from services.cli.local.source_archive import unpack_source

FILES = {"photos/a.jpg": b"jpeg", "photos/a.xml": b"<annotation/>"}


def write_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in FILES.items():
            archive.writestr(name, content)


def write_tar(path):
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as archive:
        for name, content in FILES.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


@pytest.mark.parametrize(
    ("name", "write"), [("ponds.zip", write_zip), ("ponds.tar.gz", write_tar), ("ponds.tar", write_tar)]
)
def test_an_archive_is_a_source_of_its_name(tmp_path, name, write):
    write(tmp_path / name)
    run = training_run(RunRequest(tmp_path / name, {}), tmp_path / "out")
    assert run.metadata.name.startswith("ponds-")
    source = run.spec.dataset.source
    assert source.endswith("/ponds")
    store = FolderStore(Path(source))
    assert {key: store.read(key) for key in list_keys(store)} == FILES


def test_the_same_archive_is_unpacked_once_and_is_the_same_run(tmp_path):
    write_zip(tmp_path / "ponds.zip")
    folder = unpack_source(tmp_path / "ponds.zip", tmp_path / "out")
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    runs = [training_run(RunRequest(tmp_path / "ponds.zip", {}), tmp_path / "out") for _ in range(2)]
    assert runs[0] == runs[1]
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == times


def test_what_an_interruption_left_is_removed_first(tmp_path):
    write_zip(tmp_path / "ponds.zip")
    folder = unpack_source(tmp_path / "ponds.zip", tmp_path / "out")
    folder.parent.with_name(f"{folder.parent.name}.json").unlink()
    (folder / "old.jpg").write_bytes(b"old")
    assert unpack_source(tmp_path / "ponds.zip", tmp_path / "out") == folder
    assert sorted(list_keys(FolderStore(folder))) == sorted(FILES)


def test_another_file_is_refused_by_what_it_is(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(600))
    with pytest.raises(BadArchive, match=r"photo\.jpg: the archive begins with .*: it is neither a zip nor a tar"):
        training_run(RunRequest(tmp_path / "photo.jpg", {}), tmp_path / "out")
    assert not list(list_keys(FolderStore(tmp_path / "out")))


def test_a_name_that_leads_out_is_refused_and_leaves_nothing(tmp_path):
    with zipfile.ZipFile(tmp_path / "ponds.zip", "w") as archive:
        archive.writestr("a.jpg", os.urandom(9))
        archive.writestr("../../b.jpg", b"b")
    with pytest.raises(BadArchive, match=r"ponds\.zip: the name '../../b.jpg' leads out of its folder"):
        unpack_source(tmp_path / "ponds.zip", tmp_path / "out")
    assert not list(list_keys(FolderStore(tmp_path / "out")))
