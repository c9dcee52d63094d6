import pytest

from slipway.artifacts.checkpoints import Checkpoints
from slipway.errors import BrokenDocument, MissingKey, TransientError
from slipway.store.folder import FolderStore
from slipway.store.interface import list_keys


@pytest.fixture
def checkpoints(tmp_path):
    return Checkpoints(FolderStore(tmp_path / "store"), "runs/ponds/train")


def files(folder, step, content=b"weights"):
    folder.mkdir(exist_ok=True)
    paths = [folder / f"ckpt-{step}.index", folder / f"ckpt-{step}.data-00000-of-00001"]
    for path in paths:
        path.write_bytes(content)
    return paths


def test_steps_are_in_the_order_of_numbers(checkpoints, tmp_path):
    for step in (1000, 20, 300):
        checkpoints.publish(step, files(tmp_path / "local", step))
    assert checkpoints.steps() == [20, 300, 1000]


def test_a_checkpoint_that_is_not_listed_does_not_exist(checkpoints):
    checkpoints.store.write("runs/ponds/train/ckpt-10.index", b"weights")
    assert checkpoints.steps() == []


def test_fetch_returns_the_prefix_of_equal_files(checkpoints, tmp_path):
    checkpoints.publish(20, files(tmp_path / "local", 20))
    prefix = checkpoints.fetch(20, tmp_path / "fetched")
    assert prefix == tmp_path / "fetched" / "ckpt-20"
    assert (tmp_path / "fetched" / "ckpt-20.index").read_bytes() == b"weights"


def test_the_listing_tells_the_last_checkpoint_from_the_others(checkpoints, tmp_path):
    checkpoints.publish(10, files(tmp_path / "local", 10))
    checkpoints.publish(20, files(tmp_path / "local", 20), last=True)
    assert (checkpoints.listing(10).last, checkpoints.listing(20).last) == (False, True)


def test_a_listing_without_files_is_refused_by_name(checkpoints):
    checkpoints.store.write("runs/ponds/train/ckpt-20.json", b'{"step": 20}')
    with pytest.raises(BrokenDocument, match=r"^runs/ponds/train/ckpt-20\.json: files: Field required"):
        checkpoints.listing(20)


def test_a_damaged_file_is_named_with_both_digests(checkpoints, tmp_path):
    checkpoints.publish(20, files(tmp_path / "local", 20))
    checkpoints.store.write("runs/ponds/train/ckpt-20.index", b"wrights")
    with pytest.raises(TransientError, match=r"train/ckpt-20\.index: digest \w{12}, listed as \w{12}"):
        checkpoints.fetch(20, tmp_path / "fetched")


def test_delete_leaves_nothing(checkpoints, tmp_path):
    checkpoints.publish(20, files(tmp_path / "local", 20))
    checkpoints.delete(20)
    assert list(list_keys(checkpoints.store)) == []


def test_delete_of_an_absent_checkpoint_is_no_error(checkpoints):
    checkpoints.delete(20)


def test_a_deleted_checkpoint_cannot_be_fetched(checkpoints, tmp_path):
    with pytest.raises(MissingKey, match=r"ckpt-20\.json"):
        checkpoints.fetch(20, tmp_path)
