import errno
import os
import time
from pathlib import Path

import pytest

from slipway.errors import InputError, MissingKey, StoreRefused, StoreUnavailable
from slipway.store.file_errors import as_store_errors
from slipway.store.folder import FolderStore
from slipway.store.from_url import open_store
from slipway.store.interface import in_parallel, list_keys


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path / "store")


def test_a_key_is_a_plain_file(store, tmp_path):
    store.write("runs/a/run.json", b"{}")
    assert (tmp_path / "store" / "runs" / "a" / "run.json").read_bytes() == b"{}"


def test_what_a_killed_write_left_is_never_listed(store):
    store.write("a", b"1")
    (store.root / ".tmp").mkdir(exist_ok=True)
    (store.root / ".tmp" / "half").write_bytes(b"hal")
    assert list(list_keys(store)) == ["a"]


def test_a_write_leaves_nothing_beside_the_key(store):
    store.write("a/b", b"1")
    assert list((store.root / ".tmp").iterdir()) == []


def test_the_temporary_folder_is_no_key(store):
    with pytest.raises(InputError, match="not a relative path"):
        store.write(".tmp/a", b"1")


def test_a_file_in_the_place_of_the_store_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreRefused, match="a file is where a folder is needed"):
        FolderStore(tmp_path / "file").write("a", b"1")


@pytest.mark.parametrize(
    ("number", "error", "says"),
    [
        pytest.param(errno.EACCES, StoreRefused, "make the folder readable and writable", id="no-permission"),
        pytest.param(errno.EROFS, StoreRefused, "choose another", id="read-only"),
        pytest.param(errno.ENOSPC, StoreUnavailable, "free some room", id="disk-full"),
        pytest.param(errno.EDQUOT, StoreUnavailable, "free some room", id="quota-used-up"),
        pytest.param(errno.EIO, StoreUnavailable, "try again", id="disk-trouble"),
        pytest.param(errno.ENOENT, MissingKey, "no such key", id="absent"),
    ],
)
def test_the_systems_refusal_becomes_ours(number, error, says):
    with pytest.raises(error, match=f"here: .*{says}"), as_store_errors("here"):
        raise OSError(number, os.strerror(number))


def test_a_failed_write_removes_its_temporary_file(store):
    store.write("a/b", b"1")
    with pytest.raises((StoreUnavailable, MissingKey)):
        store.write("a", b"2")  # a folder is there
    assert list((store.root / ".tmp").iterdir()) == []


def test_open_store_makes_the_path_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert open_store("out").url == str(tmp_path / "out")


def test_open_store_reads_how_to_reach_s3(monkeypatch):
    monkeypatch.setenv("SLIPWAY_S3_ENDPOINT", "http://store:9000")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "harbourmaster")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "rope-and-anchor")
    assert open_store("s3://slipway/a/b/").url == "s3://slipway/a/b"


def test_the_first_failure_ends_what_is_done_in_parallel():
    begun = []

    def fail_at_3(number):
        begun.append(number)
        if number == 3:
            raise StoreUnavailable("no")
        time.sleep(0.001)
        return number

    with pytest.raises(StoreUnavailable):
        in_parallel(fail_at_3, range(1000), at_once=1)
    assert len(begun) < 1000
    assert in_parallel(fail_at_3, [5, 4, 6]) == [5, 4, 6]


def test_open_store_refuses_an_unknown_scheme():
    with pytest.raises(InputError, match="'ftp://host/x': expected"):
        open_store("ftp://host/x")


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a file system without folders of its users")
def test_folder_that_cannot_be_made_is_named():
    with pytest.raises(StoreRefused, match=r"/proc/outputs: no folder can be made here; choose another folder"):
        FolderStore(Path("/proc/outputs")).write("a", b"1")
