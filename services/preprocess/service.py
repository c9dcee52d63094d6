"""Turn one ingested dataset into sharded TFRecords and the tutorial's CSV files."""

import hashlib
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from slipway import keys
from slipway.annotations import AnnotatedImage, parse
from slipway.errors import InputError
from slipway.labels import LabelMap
from slipway.run import sha256_json
from slipway.shell import Result, StageParams, read_json, write_result
from slipway.store import ObjectStore
from slipway.telemetry import event

from services.preprocess.csv_to_tfrecord import csv_to_tfrecord
from services.preprocess.tfrecord import frame
from services.preprocess.xml_to_csv import xml_to_csv

RECIPE = {"format": "tf.Example for RetinaNet", "version": 1}  # a new version makes new records beside the old ones
_READERS = 8  # images read ahead: enough to hide a store's latency, few enough to bound the memory


@dataclass(frozen=True)
class Shard:
    """Which part of which split; how many there are is the manifest's, never the workers', decision."""

    split: str
    number: int
    of: int


def preprocess(params: StageParams, store: ObjectStore) -> Result:
    """Write this worker's shards; whoever then sees every shard writes the tables and the result."""
    dataset = read_json(store, keys.result(params.name, "ingest"))["dataset"]
    manifest = read_json(store, keys.manifest(dataset))
    labels = LabelMap.parse(store.read(keys.label_map(dataset)).decode(), keys.label_map(dataset))
    records = keys.records(manifest["sha256"], sha256_json(RECIPE))
    shards = [Shard(s, n, m["shards"]) for s, m in sorted(manifest["splits"].items()) for n in range(m["shards"])]
    for shard in shards[params.index :: params.run.spec.preprocess.workers]:
        _write_shard(store, dataset, records, shard, labels, params.scratch)
    if all(store.size(keys.part(records, s.split, s.number, s.of)) is not None for s in shards):
        return _finish(store, params.name, dataset, records, shards)
    return {}


def _write_shard(store: ObjectStore, dataset: str, records: str, shard: Shard, labels: LabelMap, scratch: Path) -> None:
    """Write one shard and then its part, which says that it is complete; skip one that is."""
    part = keys.part(records, shard.split, shard.number, shard.of)
    if store.size(part) is not None:
        return
    started = time.monotonic()
    images = _annotations(store, dataset, shard)
    path = scratch / keys.shard_name(shard.split, shard.number, shard.of)
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for image, encoded in zip(images, _encoded(store, images), strict=True):
            record = frame(csv_to_tfrecord(image, encoded, labels))
            digest.update(record)
            file.write(record)
    store.upload(path, keys.shard(records, shard.split, shard.number, shard.of))
    counts = {
        "images": len(images),
        "boxes": sum(len(image.boxes) for image in images),
        "bytes": path.stat().st_size,
        "max_boxes": max((len(image.boxes) for image in images), default=0),
        "sha256": digest.hexdigest(),
    }
    path.unlink()
    store.write(part, json.dumps(counts).encode() + b"\n")
    seconds = max(time.monotonic() - started, 1e-9)
    event("shard_written", shard=path.name, **counts, images_per_sec=round(counts["images"] / seconds, 1))


def _annotations(store: ObjectStore, dataset: str, shard: Shard) -> list[AnnotatedImage]:
    return list(parse(store.read(keys.annotations(dataset, shard.split, shard.number, shard.of))))


def _encoded(store: ObjectStore, images: list[AnnotatedImage]) -> Iterator[bytes]:
    """Read the images' bytes a few ahead, in order, and check each against its digest."""
    with ThreadPoolExecutor(_READERS) as pool:
        for start in range(0, len(images), _READERS * 4):
            batch = images[start : start + _READERS * 4]
            yield from pool.map(lambda image: _checked(store, image), batch)


def _checked(store: ObjectStore, image: AnnotatedImage) -> bytes:
    key = keys.blob(image.sha256)
    encoded = store.read(key)
    got = hashlib.sha256(encoded).hexdigest()
    if got != image.sha256:
        raise InputError(
            f"{key}: the bytes of {image.filename} have digest {got[:12]}, expected {image.sha256[:12]}; "
            "the store damaged them: delete this key and run again"
        )
    return encoded


def _finish(store: ObjectStore, run: str, dataset: str, records: str, shards: list[Shard]) -> Result:
    """Write the tables and the result: the same bytes whichever worker does it, so a race is harmless."""
    splits: dict[str, dict[str, int]] = {}
    max_boxes = 0
    for split in sorted({shard.split for shard in shards}):
        own = [shard for shard in shards if shard.split == split]
        parts = [read_json(store, keys.part(records, s.split, s.number, s.of)) for s in own]
        splits[split] = {
            "images": sum(part["images"] for part in parts),
            "boxes": sum(part["boxes"] for part in parts),
            "bytes": sum(part["bytes"] for part in parts),
            "shards": len(own),
        }
        max_boxes = max(max_boxes, *(part["max_boxes"] for part in parts))
        store.write(keys.table(records, split), _table(store, dataset, own))
    event("records_written", images=sum(s["images"] for s in splits.values()), shards=len(shards))
    result = {"records": records, "splits": splits, "max_boxes": max_boxes}
    return write_result(store, run, "preprocess", result)


def _table(store: ObjectStore, dataset: str, shards: list[Shard]) -> bytes:
    """Return one split's CSV in the order of its records."""
    rows = [xml_to_csv(_annotations(store, dataset, s)).to_csv(index=False, header=s.number == 0) for s in shards]
    return "".join(rows).encode()
