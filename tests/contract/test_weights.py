"""Initial checkpoints in buckets."""

import pytest

from slipway.errors import InputError
from slipway.store.folder import FolderStore
from slipway.store.from_url import open_store
from slipway.weights.sources import fetch_weights
from slipway.weights.stored import content_digest
from tests.contract.s3_servers import ACCESS_KEY, BUCKET, SECRET_KEY
from tests.fakes.checkpoints import write_checkpoint


@pytest.fixture
def weights(server, monkeypatch, tmp_path):
    """A checkpoint below `coco` in the bucket, and its local original."""
    monkeypatch.setenv("SLIPWAY_S3_ENDPOINT", f"http://{server.address}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    write_checkpoint(tmp_path / "original" / "ckpt-5", {"backbone": [(3, 3)]})
    bucket = open_store(f"s3://{BUCKET}/coco")
    for file in (tmp_path / "original").iterdir():
        bucket.upload(file, f"r50/{file.name}")
    bucket.write("README", b"weights")
    return tmp_path / "original" / "ckpt-5"


@pytest.mark.parametrize("address", ["coco", "coco/", "coco/r50", "coco/r50/ckpt-5"])
def test_prefix_and_checkpoint_in_a_bucket_are_fetched(weights, tmp_path, address):
    store = FolderStore(tmp_path / "store")
    path = fetch_weights(f"s3://{BUCKET}/{address}", store, tmp_path)
    assert path.is_relative_to(tmp_path / "initial")
    assert content_digest(path) == content_digest(weights)


def test_prefix_without_a_checkpoint_or_with_half_of_one_is_refused(weights, tmp_path):
    store = FolderStore(tmp_path / "store")
    with pytest.raises(InputError, match=r"found no \.index file, expected one checkpoint"):
        fetch_weights(f"s3://{BUCKET}/coco/absent", store, tmp_path)
    open_store(f"s3://{BUCKET}/coco").delete("r50/ckpt-5.data-00000-of-00001")
    with pytest.raises(InputError, match=r"ckpt-5\.data-00000-of-00001 is missing"):
        fetch_weights(f"s3://{BUCKET}/coco/r50", store, tmp_path)
