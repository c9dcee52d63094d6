"""The stage as a whole, on a dataset that was written by hand."""

import hashlib
import logging

import pytest

from slipway import keys
from slipway.artifacts.dataset import DatasetManifest, IngestResult, ManifestSplit
from slipway.artifacts.json_io import read_document, write_document
from slipway.artifacts.records import RecordSplit, ShardPart
from slipway.dataset.annotations import AnnotatedImage, LabeledBox, dump
from slipway.dataset.boxes import Box, ImageSize
from slipway.dataset.labels import LabelMap
from slipway.run.spec import TrainingRun
from slipway.stage.runner import StageParams
from slipway.store.folder import FolderStore
from slipway.store.interface import list_keys

from services.preprocess.service import preprocess

DATASET = keys.dataset("harbour", "d" * 64)
SHARDS = {"train": [3, 2], "test": [1]}  # images in each


@pytest.fixture
def store(tmp_path):
    """Five images to train on, in two shards, and one to test; the first has two boxes, the second none."""
    store = FolderStore(tmp_path / "store")
    number = 0
    for split, sizes in SHARDS.items():
        for shard, size in enumerate(sizes):
            images = [image(store, number + n) for n in range(size)]
            store.write(keys.annotations(DATASET, split, shard, len(sizes)), dump(images))
            number += size
    store.write(keys.label_map(DATASET), LabelMap(("buoy", "ship")).dump().encode())
    splits = {
        split: ManifestSplit(images=sum(sizes), boxes=sum(sizes), shards=len(sizes)) for split, sizes in SHARDS.items()
    }
    manifest = DatasetManifest(
        name="harbour", sha256="d" * 64, labels=("buoy", "ship"), splits=splits, median_size=(64, 48)
    )
    write_document(store, keys.manifest(DATASET), manifest)
    write_document(store, keys.result("r", "ingest"), IngestResult(dataset=DATASET))
    return store


def image(store, number):
    content = f"image {number}".encode()
    sha256 = hashlib.sha256(content).hexdigest()
    store.write(keys.blob(sha256), content)
    boxes = [LabeledBox("ship", Box(1.0, 2.0, 30.0, 40.0)), LabeledBox("buoy", Box(0.5, 0.0, 9.0, 9.0))]
    return AnnotatedImage(
        f"{number}.jpg", number + 1, sha256, "jpeg", ImageSize(64, 48), tuple(boxes[: (2, 0, 1)[number % 3]])
    )


def params(tmp_path, index=0, workers=1):
    scratch = tmp_path / "scratch"
    scratch.mkdir(exist_ok=True)
    spec = {"dataset": {"source": "/harbour"}, "preprocess": {"workers": workers}}
    return StageParams(TrainingRun.model_validate({"metadata": {"name": "r"}, "spec": spec}), index, scratch)


def written_digests(store):
    """Return the digests of the records' keys and of the result."""
    found = [key for key in list_keys(store) if key.startswith("records/") or key == keys.result("r", "preprocess")]
    return {key: hashlib.sha256(store.read(key)).hexdigest() for key in found}


def test_result_counts_what_was_written(tmp_path, store):
    result = preprocess(params(tmp_path), store)
    sizes = {
        split: sum(store.stat(keys.shard(result.records, split, n, len(counts))).size for n in range(len(counts)))
        for split, counts in SHARDS.items()
    }
    assert result.records.startswith(f"records/{'d' * 64}/")
    assert result.splits == {
        "test": RecordSplit(images=1, boxes=1, bytes=sizes["test"], shards=1),
        "train": RecordSplit(images=5, boxes=5, bytes=sizes["train"], shards=2),
    }
    assert result.max_boxes == 2


def test_tables_hold_the_rows_of_all_shards_under_one_head(tmp_path, store):
    records = preprocess(params(tmp_path), store).records
    assert store.read(keys.table(records, "train")).decode().splitlines() == [
        "filename,width,height,class,xmin,ymin,xmax,ymax",
        "0.jpg,64,48,ship,1,2,30,40",
        "0.jpg,64,48,buoy,0.5,0,9,9",
        "2.jpg,64,48,ship,1,2,30,40",
        "3.jpg,64,48,ship,1,2,30,40",
        "3.jpg,64,48,buoy,0.5,0,9,9",
    ]


def test_worker_that_is_not_the_last_writes_no_result(tmp_path, store):
    assert preprocess(params(tmp_path, index=1, workers=2), store) is None
    assert store.stat(keys.result("r", "preprocess")) is None
    assert preprocess(params(tmp_path, index=0, workers=2), store).max_boxes == 2


def test_worker_without_a_shard_of_its_own_does_no_harm(tmp_path, store):
    assert preprocess(params(tmp_path, index=7, workers=8), store) is None
    assert written_digests(store) == {}


def test_whichever_worker_is_last_the_bytes_are_the_same(tmp_path, store):
    preprocess(params(tmp_path, index=0, workers=2), store)
    preprocess(params(tmp_path, index=1, workers=2), store)
    first = written_digests(store)
    preprocess(params(tmp_path, index=0, workers=2), store)  # sees every shard too, and finishes once more
    assert written_digests(store) == first


def test_shard_that_is_complete_is_not_written_again(tmp_path, store):
    records = preprocess(params(tmp_path), store).records
    shard_key = keys.shard(records, "test", 0, 1)
    store.write(shard_key, b"untouched")
    preprocess(params(tmp_path), store)
    assert store.read(shard_key) == b"untouched"


def test_shard_that_was_cut_off_is_written_again(tmp_path, store):
    records = preprocess(params(tmp_path), store).records
    whole = written_digests(store)
    store.write(keys.shard(records, "test", 0, 1), b"half")
    store.delete(keys.part(records, "test", 0, 1))
    preprocess(params(tmp_path), store)
    assert written_digests(store) == whole


def test_part_has_the_digest_of_its_shard(tmp_path, store):
    records = preprocess(params(tmp_path), store).records
    part = read_document(store, keys.part(records, "train", 1, 2), ShardPart)
    shard = store.read(keys.shard(records, "train", 1, 2))
    assert (part.sha256, part.bytes) == (hashlib.sha256(shard).hexdigest(), len(shard))


def test_scratch_is_left_empty(tmp_path, store):
    preprocess(params(tmp_path), store)
    assert list((tmp_path / "scratch").iterdir()) == []


def test_progress_is_told_within_a_shard(tmp_path, store, caplog):
    caplog.set_level(logging.INFO, logger="slipway.events")
    preprocess(params(tmp_path), store)
    lines = [record.fields for record in caplog.records if record.getMessage() == "progress"]
    assert [(fields["done"], fields["total"], fields["unit"]) for fields in lines] == [
        (1, 1, "images"),
        (3, 3, "images"),
        (2, 2, "images"),
    ]
