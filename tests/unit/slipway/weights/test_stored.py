"""Checkpoints in the store: under the digest of their content, found by name or address."""

import pytest

from slipway.artifacts.weights import KeptWeights
from slipway.errors import TransientError
from slipway.store.folder import FolderStore
from slipway.store.interface import list_keys
from slipway.weights.checkpoint.table import BadCheckpoint
from slipway.weights.stored import content_digest, fetch_kept, find_checkpoint, find_kept, keep, list_kept, write_kept
from tests.fakes.checkpoints import write_checkpoint


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path / "store")


@pytest.fixture
def prefix(tmp_path):
    write_checkpoint(tmp_path / "weights" / "ckpt-7", {"backbone": [(3, 3)]})
    return tmp_path / "weights" / "ckpt-7"


def kept(address, digest):
    return KeptWeights(address=address, sha256=digest, bytes=9, kept_at="2026-01-31T12:00:00Z")


def test_folder_with_one_checkpoint_gives_its_path(prefix):
    (prefix.parent / "._ckpt-7.index").touch()
    assert find_checkpoint(prefix.parent.parent / "weights") == prefix


def test_folder_with_two_checkpoints_or_none_is_refused(prefix, tmp_path):
    (prefix.parent / "ckpt-8.index").touch()
    with pytest.raises(BadCheckpoint, match=r"found ckpt-7\.index, ckpt-8\.index, expected one checkpoint"):
        find_checkpoint(prefix.parent)
    with pytest.raises(BadCheckpoint, match=r"found no \.index file"):
        find_checkpoint(tmp_path / "absent")


def test_kept_checkpoint_is_the_one_that_was_given(store, prefix, tmp_path):
    digest = keep(store, prefix)
    assert keep(store, prefix) == digest == content_digest(prefix)
    assert list(list_keys(store)) == [
        f"checkpoints/initial/{digest}/ckpt-7.data-00000-of-00001",
        f"checkpoints/initial/{digest}/ckpt-7.index",
    ]
    copy = fetch_kept(store, digest, tmp_path / "copy")
    assert copy == tmp_path / "copy" / "ckpt-7"
    assert content_digest(copy) == digest


def test_index_is_written_last(store, prefix, monkeypatch):
    uploads = []
    monkeypatch.setattr(store, "upload", lambda path, key: uploads.append(path.name))
    keep(store, prefix)
    assert uploads == ["ckpt-7.data-00000-of-00001", "ckpt-7.index"]


def test_digest_depends_on_the_values(prefix, tmp_path):
    write_checkpoint(tmp_path / "other" / "ckpt-7", {"backbone": [(3, 3)]}, value=b"\1")
    assert content_digest(tmp_path / "other" / "ckpt-7") != content_digest(prefix)


def test_changed_copy_is_not_trained_from(store, prefix, tmp_path):
    digest = keep(store, prefix)
    key = f"checkpoints/initial/{digest}/ckpt-7.data-00000-of-00001"
    store.write(key, store.read(key)[:-1] + b"\1")
    with pytest.raises(TransientError, match="are not those that were kept there"):
        fetch_kept(store, digest, tmp_path / "copy")


def test_weights_are_found_by_name_only_while_they_are_whole(store, prefix):
    digest = keep(store, prefix)
    write_kept(store, kept("coco", digest))
    assert find_kept(store, "coco") == kept("coco", digest)
    assert [weights.address for weights in list_kept(store)] == ["coco"]
    assert find_kept(store, "imagenet") is None
    store.delete(f"checkpoints/initial/{digest}/ckpt-7.index")
    assert find_kept(store, "coco") is None
