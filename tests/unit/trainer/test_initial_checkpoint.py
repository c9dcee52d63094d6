"""Pretrained weights from a folder and from a server; archives are not trusted."""

import functools
import io
import tarfile
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from slipway.errors import InputError, TransientError
from slipway.store.folder import FolderStore
from slipway.store.interface import list_keys

from services.trainer.initial_checkpoint import fetch_initial_checkpoint


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *words):
        pass


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path / "store")


@pytest.fixture
def scratch(tmp_path):
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


@pytest.fixture
def server(tmp_path):
    (tmp_path / "served").mkdir()
    handler = functools.partial(Quiet, directory=tmp_path / "served")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def archive(path, *names):
    with tarfile.open(path, "w:gz") as tar:
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.size = 4
            tar.addfile(entry, io.BytesIO(b"1234"))


def test_folder_with_one_checkpoint_gives_its_path_without_suffix(store, scratch, tmp_path):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "ckpt-5.index").touch()
    path = fetch_initial_checkpoint(str(tmp_path / "weights"), store, scratch)
    assert path == str(tmp_path / "weights" / "ckpt-5")
    assert fetch_initial_checkpoint(path, store, scratch) == path


def test_folder_with_two_checkpoints_is_refused_and_names_both(store, scratch, tmp_path):
    for step in (5, 6):
        (tmp_path / f"ckpt-{step}.index").touch()
    with pytest.raises(InputError, match=r"ckpt-5.index.*ckpt-6.index.*expected one"):
        fetch_initial_checkpoint(str(tmp_path), store, scratch)


def test_missing_folder_is_refused_by_name(store, scratch):
    with pytest.raises(InputError, match=r"/nowhere/weights: found no \.index file"):
        fetch_initial_checkpoint("/nowhere/weights", store, scratch)


def test_archive_is_fetched_once_and_then_taken_from_the_store(store, scratch, tmp_path, server):
    archive(tmp_path / "served" / "weights.tar.gz", "w/ckpt-1.index", "w/ckpt-1.data-00000-of-00001")
    address = f"{server}/weights.tar.gz"
    first = fetch_initial_checkpoint(address, store, scratch)
    assert first.endswith("w/ckpt-1")
    (tmp_path / "served" / "weights.tar.gz").unlink()
    (tmp_path / "again").mkdir()
    second = fetch_initial_checkpoint(address, store, tmp_path / "again")
    assert second.endswith("w/ckpt-1")


def test_listing_is_written_last(store, scratch, tmp_path, server, monkeypatch):
    names = ["w/ckpt-1.index", "w/ckpt-1.data-00000-of-00001", "w/z.txt"]
    archive(tmp_path / "served" / "weights.tar.gz", *names)
    uploaded = []
    monkeypatch.setattr(store, "upload", lambda path, key: uploaded.append(path.name))
    fetch_initial_checkpoint(f"{server}/weights.tar.gz", store, scratch)
    assert sorted(uploaded) == sorted(name.removeprefix("w/") for name in names)
    assert uploaded[-1] == "ckpt-1.index"


def test_copy_without_its_listing_is_fetched_again(store, scratch, tmp_path, server):
    archive(tmp_path / "served" / "weights.tar.gz", "w/ckpt-1.index", "w/ckpt-1.data-00000-of-00001")
    address = f"{server}/weights.tar.gz"
    fetch_initial_checkpoint(address, store, scratch)
    (listing,) = (key for key in list_keys(store, "checkpoints/initial") if key.endswith(".index"))
    store.delete(listing)
    (tmp_path / "again").mkdir()
    assert fetch_initial_checkpoint(address, store, tmp_path / "again").endswith("w/ckpt-1")
    assert store.stat(listing) is not None


def test_archive_cannot_write_outside_its_folder(store, scratch, tmp_path, server):
    for name in ("../../outside.index", f"{tmp_path}/outside.index"):
        archive(tmp_path / "served" / "evil.tar.gz", name)
        with pytest.raises(InputError, match=r"outside\.index' is .* outside the archive's own folder"):
            fetch_initial_checkpoint(f"{server}/evil.tar.gz", store, scratch)
    assert not list(tmp_path.glob("outside*"))


def test_archive_cannot_bring_a_link(store, scratch, tmp_path, server):
    with tarfile.open(tmp_path / "served" / "link.tar.gz", "w:gz") as tar:
        link = tarfile.TarInfo("ckpt-1.index")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(InputError, match=r"ckpt-1\.index' is a link"):
        fetch_initial_checkpoint(f"{server}/link.tar.gz", store, scratch)


def test_absent_archive_is_the_users_fault_and_a_silent_server_is_not(store, scratch, server):
    with pytest.raises(InputError, match="404"):
        fetch_initial_checkpoint(f"{server}/absent.tar.gz", store, scratch)
    with pytest.raises(TransientError, match="try again"):
        fetch_initial_checkpoint("http://127.0.0.1:9/weights.tar.gz", store, scratch)


def test_page_instead_of_an_archive_says_what_was_expected(store, scratch, tmp_path, server):
    (tmp_path / "served" / "page.tar.gz").write_text("<html>")
    with pytest.raises(InputError, match=r"expected a \.tar\.gz of a checkpoint"):
        fetch_initial_checkpoint(f"{server}/page.tar.gz", store, scratch)
