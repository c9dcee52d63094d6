"""Turn one ingested dataset into sharded TFRecords and the tutorial's CSV files."""

import hashlib
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from slipway import keys
from slipway.artifacts.untyped_json import read_json
from slipway.dataset.annotations import AnnotatedImage, parse
from slipway.dataset.labels import LabelMap
from slipway.errors import InputError
from slipway.events import event
from slipway.metrics import registry as metrics
from slipway.run.spec import sha256_json
from slipway.stage.progress import tracked
from slipway.stage.runner import Result, StageParams, write_result
from slipway.store.interface import ObjectStore

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


@dataclass(frozen=True)
class Place:
    """Where shards are read from, and where to they are written."""

    store: ObjectStore
    dataset: str
    records: str

    def images(self, shard: Shard) -> list[AnnotatedImage]:
        return list(parse(self.store.read(keys.annotations(self.dataset, shard.split, shard.number, shard.of))))

    def part(self, shard: Shard) -> str:
        """The key that says that the shard is complete."""
        return keys.part(self.records, shard.split, shard.number, shard.of)

    def is_written(self, shard: Shard) -> bool:
        return self.store.size(self.part(shard)) is not None


def preprocess(params: StageParams, store: ObjectStore) -> Result:
    """Write this worker's shards; whoever then sees every shard writes the tables and the result."""
    dataset = read_json(store, keys.result(params.name, "ingest"))["dataset"]
    manifest = read_json(store, keys.manifest(dataset))
    labels = LabelMap.parse(store.read(keys.label_map(dataset)).decode(), keys.label_map(dataset))
    place = Place(store, dataset, keys.records(manifest["sha256"], sha256_json(RECIPE)))
    shards = [Shard(s, n, m["shards"]) for s, m in sorted(manifest["splits"].items()) for n in range(m["shards"])]
    for shard in shards[params.index :: params.run.spec.preprocess.workers]:
        if not place.is_written(shard):
            _write_shard(place, shard, labels, params.scratch)
    if all(place.is_written(shard) for shard in shards):
        return _finish(place, params.name, shards)
    return {}


def _write_shard(place: Place, shard: Shard, labels: LabelMap, scratch: Path) -> None:
    """Write one shard and then its part."""
    started = time.monotonic()
    images = place.images(shard)
    path = scratch / keys.shard_name(shard.split, shard.number, shard.of)
    digest = hashlib.sha256()
    with path.open("wb") as file:
        encoded = tracked(_encoded(place.store, images), len(images))
        for image, content in zip(images, encoded, strict=True):
            record = frame(csv_to_tfrecord(image, content, labels))
            digest.update(record)
            file.write(record)
    place.store.upload(path, keys.shard(place.records, shard.split, shard.number, shard.of))
    boxes = [len(image.boxes) for image in images]
    counts = {"images": len(boxes), "boxes": sum(boxes), "max_boxes": max(boxes), "bytes": path.stat().st_size}
    path.unlink()
    part = counts | {"sha256": digest.hexdigest()}
    place.store.write(place.part(shard), json.dumps(part).encode() + b"\n")
    seconds = time.monotonic() - started
    metrics.RECORDS.add(len(images))
    metrics.RECORDS_RATE.set(len(images) / seconds)
    event("shard_written", shard=path.name, **counts, duration_sec=round(seconds, 2))


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


def _finish(place: Place, run: str, shards: list[Shard]) -> Result:
    """Write the tables and the result: the same bytes whichever worker does it, so a race is harmless."""
    splits: dict[str, dict[str, int]] = {}
    max_boxes = 0
    for split in sorted({shard.split for shard in shards}):
        own = [shard for shard in shards if shard.split == split]
        parts = [read_json(place.store, place.part(shard)) for shard in own]
        totals = {name: sum(part[name] for part in parts) for name in ("images", "boxes", "bytes")}
        splits[split] = totals | {"shards": len(own)}
        max_boxes = max(max_boxes, *(part["max_boxes"] for part in parts))
        rows = [xml_to_csv(place.images(shard)).to_csv(index=False, header=shard.number == 0) for shard in own]
        place.store.write(keys.table(place.records, split), "".join(rows).encode(errors="surrogateescape"))
    event("records_written", images=sum(split["images"] for split in splits.values()), shards=len(shards))
    result = {"records": place.records, "splits": splits, "max_boxes": max_boxes}
    return write_result(place.store, run, "preprocess", result)
