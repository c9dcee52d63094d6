import hashlib
import os
import shutil

import pytest

from slipway.dataset.source_folder import read_file, source_digest, source_files
from slipway.errors import InputError, StoreRefused
from slipway.store.folder import FolderStore


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "source"
    for name in ("images/a.jpg", "images/b c.jpg", "annotations/a.xml"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


def test_files_are_listed_sorted(folder):
    assert source_files(FolderStore(folder)) == ["annotations/a.xml", "images/a.jpg", "images/b c.jpg"]


@pytest.mark.parametrize(
    "name", [".DS_Store", ".git/config", "images/._a.jpg", "__MACOSX/images/a.jpg", "images/Thumbs.db", "desktop.ini"]
)
def test_what_other_programs_left_is_passed_over(folder, name):
    first_digest = source_digest(FolderStore(folder))
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"x")
    assert len(source_files(FolderStore(folder))) == 3
    assert source_digest(FolderStore(folder)) == first_digest


def test_absent_folder_has_no_files(tmp_path):
    assert source_files(FolderStore(tmp_path / "none")) == []


def test_same_files_elsewhere_have_the_same_digest(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    assert source_digest(FolderStore(tmp_path / "copy")) == source_digest(FolderStore(folder))


def test_digest_is_of_names_and_bytes(folder):
    files = ["annotations/a.xml", "images/a.jpg", "images/b c.jpg"]  # each holds its own name
    names_and_bytes = b"".join(f.encode() + b"\0" + hashlib.sha256(f.encode()).digest() for f in files)
    assert source_digest(FolderStore(folder)) == hashlib.sha256(names_and_bytes).hexdigest()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda root: (root / "images" / "a.jpg").write_text("other"), id="bytes"),
        pytest.param(lambda root: (root / "images" / "a.jpg").rename(root / "images" / "d.jpg"), id="name"),
        pytest.param(lambda root: (root / "new.txt").write_text(""), id="one-more"),
        pytest.param(lambda root: (root / "annotations" / "a.xml").unlink(), id="one-less"),
    ],
)
def test_every_change_changes_the_digest(folder, change):
    first_digest = source_digest(FolderStore(folder))
    change(folder)
    assert source_digest(FolderStore(folder)) != first_digest


@pytest.mark.skipif(os.name != "posix", reason="names of bytes are Unix's")
def test_name_that_is_no_unicode_is_listed_and_digested(folder):
    name = os.fsdecode(b"caf\xe9.jpg")
    (folder / name).write_bytes(b"x")
    assert name in source_files(FolderStore(folder))
    assert len(source_digest(FolderStore(folder))) == 64


def test_link_that_leads_nowhere_is_named(folder):
    (folder / "images" / "gone.jpg").symlink_to(folder / "nowhere")
    with pytest.raises(InputError, match=r"source/images/gone\.jpg: cannot be read; remove it, or mend what it links"):
        source_digest(FolderStore(folder))


def test_file_that_was_just_removed_is_named(folder):
    with pytest.raises(InputError, match=r"source/images/none\.jpg: cannot be read"):
        read_file(FolderStore(folder), "images/none.jpg")


@pytest.mark.parametrize("target", ["loop", "."], ids=["to-itself", "to-its-folder"])
def test_link_that_leads_back_is_refused_and_named(folder, target):
    (folder / "loop").symlink_to(folder / target)
    with pytest.raises(StoreRefused, match=r"source/loop.*remove the link that leads back to a folder above"):
        source_files(FolderStore(folder))


@pytest.mark.parametrize("links", [False, True], ids=["pipe", "link-to-a-pipe"])
def test_pipe_is_passed_over_for_reading_it_would_wait_forever(folder, tmp_path, links):
    os.mkfifo(tmp_path / "pipe" if links else folder / "b.xml")
    if links:
        (folder / "b.xml").symlink_to(tmp_path / "pipe")
    assert "b.xml" not in source_files(FolderStore(folder))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_folder_without_permission_is_named(folder):
    (folder / "images").chmod(0)
    with pytest.raises(StoreRefused, match="source/images: Permission denied; make the folder readable"):
        source_files(FolderStore(folder))
    (folder / "images").chmod(0o755)
