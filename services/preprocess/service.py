"""The preprocess stage: turns a dataset into sharded TFRecords and the tutorial's CSV tables."""

import hashlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from slipway import keys
from slipway.artifacts.dataset import DatasetManifest, IngestResult
from slipway.artifacts.json_io import read_document
from slipway.artifacts.records import PreprocessResult, RecordSplit, ShardPart
from slipway.dataset.annotations import AnnotatedImage, parse
from slipway.dataset.labels import LabelMap
from slipway.digests import sha256_json
from slipway.errors import InputError
from slipway.events import event
from slipway.metrics import stage_gauges
from slipway.stage.progress import tracked
from slipway.stage.runner import StageParams, write_result
from slipway.store.interface import ObjectStore

from services.preprocess.csv_to_tfrecord import to_example
from services.preprocess.tfrecord import frame
from services.preprocess.xml_to_csv import box_table, common_folder

# The records' keys contain its digest: a new version makes new records beside the old ones.
_RECIPE = {"format": "tf.Example for RetinaNet", "version": 1}
_READERS = 8  # images read ahead: enough to hide a store's latency, few enough to bound the memory


@dataclass(frozen=True)
class Shard:
    """One shard of a split.

    Attributes:
      number: From 0.
      total: The number of shards that the manifest gives the split; it does not depend on the workers.
    """

    split: str
    number: int
    total: int


@dataclass(frozen=True)
class RecordFolder:
    """The keys between which shards are converted: annotations of the dataset, and records.

    Attributes:
      dataset: The prefix of the dataset's keys.
      records: The prefix of the records' keys.
    """

    store: ObjectStore
    dataset: str
    records: str

    def images(self, shard: Shard) -> list[AnnotatedImage]:
        key = keys.annotations(self.dataset, shard.split, shard.number, shard.total)
        return list(parse(self.store.read(key)))

    def part_key(self, shard: Shard) -> str:
        """Return the key that is written after the shard: it exists when the shard is complete."""
        return keys.part(self.records, shard.split, shard.number, shard.total)

    def is_complete(self, shard: Shard) -> bool:
        return self.store.stat(self.part_key(shard)) is not None


def preprocess(params: StageParams, store: ObjectStore) -> PreprocessResult | None:
    """Write this worker's shards; the worker that finds every shard complete writes the tables and the result."""
    dataset = read_document(store, keys.result(params.name, "ingest"), IngestResult).dataset
    manifest = read_document(store, keys.manifest(dataset), DatasetManifest)
    labels = LabelMap.parse(store.read(keys.label_map(dataset)).decode(), keys.label_map(dataset))
    folder = RecordFolder(store, dataset, keys.records(manifest.sha256, sha256_json(_RECIPE)))
    shards = [
        Shard(name, number, split.shards)
        for name, split in sorted(manifest.splits.items())
        for number in range(split.shards)
    ]
    for shard in shards[params.index :: params.run.spec.preprocess.workers]:
        if not folder.is_complete(shard):
            _write_shard(folder, shard, labels, params.scratch)
    if all(folder.is_complete(shard) for shard in shards):
        return _finish(folder, params.name, shards)
    return None


def _write_shard(folder: RecordFolder, shard: Shard, labels: LabelMap, scratch: Path) -> None:
    """Write one shard, and after it its part."""
    start = time.monotonic()
    images = folder.images(shard)
    path = scratch / keys.shard_name(shard.split, shard.number, shard.total)
    digest = hashlib.sha256()
    with path.open("wb") as file:
        contents = tracked(_read_images(folder.store, images), len(images))
        for image, content in zip(images, contents, strict=True):
            record = frame(to_example(image, content, labels))
            digest.update(record)
            file.write(record)
    folder.store.upload(path, keys.shard(folder.records, shard.split, shard.number, shard.total))
    boxes = [len(image.boxes) for image in images]
    counts = {"images": len(boxes), "boxes": sum(boxes), "max_boxes": max(boxes), "bytes": path.stat().st_size}
    path.unlink()
    part = ShardPart(**counts, sha256=digest.hexdigest())
    folder.store.write(folder.part_key(shard), part.encode_line())
    seconds = time.monotonic() - start
    stage_gauges.RECORDS.add(len(images))
    stage_gauges.RECORDS_RATE.set(len(images) / seconds)
    event("shard_written", shard=path.name, **counts, duration_sec=round(seconds, 2))


def _read_images(store: ObjectStore, images: list[AnnotatedImage]) -> Iterator[bytes]:
    """Read the images' bytes in threads, a few ahead, and yield them in order."""
    with ThreadPoolExecutor(_READERS) as pool:
        for start in range(0, len(images), _READERS * 4):
            batch = images[start : start + _READERS * 4]
            yield from pool.map(lambda image: _read_image(store, image), batch)


def _read_image(store: ObjectStore, image: AnnotatedImage) -> bytes:
    """Read one image. Raises `InputError` when its bytes do not have the digest that they were stored under."""
    key = keys.blob(image.sha256)
    content = store.read(key)
    digest = hashlib.sha256(content).hexdigest()
    if digest != image.sha256:
        raise InputError(
            f"{key}: the bytes of {image.filename} have digest {digest[:12]}, expected {image.sha256[:12]}; "
            "the store damaged them: delete this key and run again"
        )
    return content


def _finish(folder: RecordFolder, run: str, shards: list[Shard]) -> PreprocessResult:
    """Write tables and result: each worker would write the same bytes, so it is harmless when two of them do."""
    splits: dict[str, RecordSplit] = {}
    max_boxes = 0
    for name in sorted({shard.split for shard in shards}):
        split_shards = [shard for shard in shards if shard.split == name]
        parts = [read_document(folder.store, folder.part_key(shard), ShardPart) for shard in split_shards]
        splits[name] = RecordSplit(
            images=sum(part.images for part in parts),
            boxes=sum(part.boxes for part in parts),
            bytes=sum(part.bytes for part in parts),
            shards=len(parts),
        )
        max_boxes = max(max_boxes, *(part.max_boxes for part in parts))
        _write_table(folder, name, split_shards)
    event("records_written", images=sum(split.images for split in splits.values()), shards=len(shards))
    result = PreprocessResult(records=folder.records, splits=splits, max_boxes=max_boxes)
    return write_result(folder.store, run, "preprocess", result)


def _write_table(folder: RecordFolder, split: str, shards: list[Shard]) -> None:
    img_path = common_folder(image for shard in shards for image in folder.images(shard))
    tables = (box_table(folder.images(shard), img_path) for shard in shards)
    rows = [table.to_csv(index=False, header=number == 0) for number, table in enumerate(tables)]
    folder.store.write(keys.table(folder.records, split), "".join(rows).encode(errors="surrogateescape"))
