"""The initial checkpoint of a training, from the store."""

import pytest

from slipway.errors import InputError, TransientError
from slipway.store.folder import FolderStore
from slipway.store.interface import list_keys
from slipway.weights.stored import keep
from tests.fakes.checkpoints import write_checkpoint
from tests.fakes.plans import small_plan

from services.trainer import initial_checkpoint
from services.trainer.initial_checkpoint import fetch_initial_checkpoint

PACKAGED = "imagenet-efficientnet-lite0"


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path / "store")


@pytest.fixture
def conversions(monkeypatch):
    """The folders into which a package was converted."""
    folders = []

    def convert(_, folder):
        write_checkpoint(folder / "ckpt-1", {"backbone": [(3,)]})
        folders.append(folder)

    monkeypatch.setattr(initial_checkpoint, "convert_package", convert)
    return folders


def test_checkpoint_is_the_copy_that_ingest_kept(store, tmp_path):
    write_checkpoint(tmp_path / "ckpt-5", {"backbone": [(3,)]})
    digest = keep(store, tmp_path / "ckpt-5")
    plan = small_plan(initial_checkpoint="/gone/since", initial_checkpoint_sha256=digest)
    weights = fetch_initial_checkpoint(plan, store, tmp_path)
    assert weights.path == str(tmp_path / "initial" / "ckpt-5")
    assert weights.key == f"checkpoints/initial/{digest}/ckpt-5"


def test_copy_that_was_changed_is_refused(store, tmp_path):
    write_checkpoint(tmp_path / "ckpt-5", {"backbone": [(3,)]})
    digest = keep(store, tmp_path / "ckpt-5")
    store.write(f"checkpoints/initial/{digest}/ckpt-5.data-00000-of-00001", b"")
    plan = small_plan(initial_checkpoint="run:ponds", initial_checkpoint_sha256=digest)
    with pytest.raises(TransientError, match=r"initial checkpoint run:ponds: the files in .* are not those"):
        fetch_initial_checkpoint(plan, store, tmp_path)


def test_plan_of_an_older_version_names_only_the_address(store, tmp_path):
    write_checkpoint(tmp_path / "ckpt-5", {"backbone": [(3,)]})
    weights = fetch_initial_checkpoint(small_plan(initial_checkpoint=str(tmp_path / "ckpt-5")), store, tmp_path)
    assert weights.path == weights.key == str(tmp_path / "ckpt-5")
    with pytest.raises(InputError, match=r"initial checkpoint /nowhere/weights: found no \.index file"):
        fetch_initial_checkpoint(small_plan(initial_checkpoint="/nowhere/weights"), store, tmp_path)


def test_package_is_converted_once_and_then_taken_from_the_store(store, tmp_path, conversions):
    plan = small_plan(initial_checkpoint=PACKAGED, initial_checkpoint_sha256="57" * 32)
    first = fetch_initial_checkpoint(plan, store, tmp_path / "a")
    second = fetch_initial_checkpoint(plan, store, tmp_path / "b")
    assert len(conversions) == 1
    assert (first.path, second.path) == (str(tmp_path / "a/initial/ckpt-1"), str(tmp_path / "b/initial/ckpt-1"))
    assert first.key == second.key
    assert first.key.startswith("checkpoints/initial/")


def test_conversion_without_its_listing_is_made_again(store, tmp_path, conversions):
    plan = small_plan(initial_checkpoint=PACKAGED)
    fetch_initial_checkpoint(plan, store, tmp_path / "a")
    (listing,) = (key for key in list_keys(store, "checkpoints/initial") if key.endswith(".index"))
    store.delete(listing)
    fetch_initial_checkpoint(plan, store, tmp_path / "b")
    assert len(conversions) == 2
    assert store.stat(listing) is not None


def test_listing_is_uploaded_last(store, tmp_path, conversions, monkeypatch):
    uploads = []
    monkeypatch.setattr(store, "upload", lambda path, key: uploads.append(path.name))
    fetch_initial_checkpoint(small_plan(initial_checkpoint=PACKAGED), store, tmp_path)
    assert uploads == ["ckpt-1.data-00000-of-00001", "ckpt-1.index"]
