"""Turn a source folder into a dataset: checked, partitioned, stored under the digest of its content."""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from slipway import keys
from slipway.artifacts.untyped_json import read_json
from slipway.dataset import annotations
from slipway.dataset.annotations import AnnotatedImage
from slipway.dataset.labels import LabelMap
from slipway.dataset.source_folder import source_digest
from slipway.errors import InputError
from slipway.events import event
from slipway.metrics import registry as metrics
from slipway.report.pages import data_report
from slipway.run.plan import resolve
from slipway.run.spec import DatasetSpec, slug
from slipway.stage.runner import Result, StageParams, write_result
from slipway.store.from_url import open_store
from slipway.store.interface import ObjectStore
from slipway.store.sweep_lock import ingesting

from services.ingest import manifest as describe
from services.ingest.label_map import given_label_map, label_map
from services.ingest.scan_source import Checked, check
from services.ingest.splits.assign import assign, keeps_own
from services.ingest.validate import Finding, check_dataset

_SHOWN = 5  # faults in an error message; the file that it names has all of them

Splits = dict[str, list[AnnotatedImage]]


def ingest(params: StageParams, store: ObjectStore) -> Result:
    """Check and store the run's source, or take up a dataset that is there, and resolve the run's plan."""
    with ingesting(store, params.name):
        return _ingested(params, store)


def _ingested(params: StageParams, store: ObjectStore) -> Result:
    started = time.monotonic()
    spec = params.run.spec
    dataset = _existing(spec.dataset.ref, store) if spec.dataset.ref else _ingest(params, store)
    manifest = read_json(store, keys.manifest(dataset))
    _tell(manifest.get("severities", {}))  # datasets of earlier versions have none
    plan = resolve(spec.train, manifest["splits"]["train"]["images"], tuple(manifest["median_size"]))
    store.write(keys.resolved(params.name), plan.dump())
    for split, counts in manifest["splits"].items():
        metrics.DATASET_IMAGES.set(counts["images"], split=split)
    told = {name: manifest[name] for name in ("labels", "splits", "counts", "notes")}
    seconds = round(time.monotonic() - started, 2)
    return write_result(store, params.name, "ingest", {"dataset": dataset, **told, "duration_sec": seconds})


def _existing(ref: str, store: ObjectStore) -> str:
    name, _, sha256 = ref.partition("@")
    dataset = keys.dataset(name, sha256)
    if store.size(keys.manifest(dataset)) is None:
        raise InputError(f"dataset {ref}: not in the store {store.url}; ingest its source first")
    return dataset


def _ingest(params: StageParams, store: ObjectStore) -> str:
    spec = params.run.spec
    source = _source(spec.dataset)
    given = given_label_map(spec.ingest.label_map, source)
    checked = check(source, store, given)
    found = [*checked.findings, *(checked.own.findings if keeps_own(checked.own, spec.ingest) else ())]
    errors = [finding for finding in found if finding.severity == "error"]
    _tell(describe.severities(found))  # also of a source that is refused
    if errors and (spec.ingest.invalid == "fail" or not checked.images):
        raise InputError(_refusal(errors, params, store))
    split_of, notes, left_out = assign(checked.images, checked.own, spec.ingest)
    for note in notes:
        event("split_chosen", note=note)
    splits = _numbered(checked, split_of)
    labels = label_map((image for images in splits.values() for image in images), given)
    findings = [*found, *left_out, *check_dataset(splits), *describe.absent_labels(splits, labels)]
    for code, count in describe.counts(findings).items():
        event("findings_counted", code=code, count=count)
    name = spec.dataset.name or slug(str(spec.dataset.source).rstrip("/").rpartition("/")[2])
    return _store(store, name, splits, labels, {"findings": findings, "notes": notes})


def _tell(severities: Mapping[str, Mapping[str, int]]) -> None:
    for code, counts in severities.items():
        for severity, count in counts.items():
            metrics.DATASET_FINDINGS.set(count, code=code, severity=severity)


def _source(spec: DatasetSpec) -> ObjectStore:
    """Open the source, and see that it is what the run was asked for."""
    source = open_store(str(spec.source))
    if spec.sha256 is not None and source_digest(source) != spec.sha256:
        raise InputError(f"{source.url}: its files changed since this run was asked for; run the same command again")
    return source


def _refusal(errors: Sequence[Finding], params: StageParams, store: ObjectStore) -> str:
    """Write every fault to a key of the run, and the first few into the message."""
    faults = keys.faults(params.name)
    rows = json.dumps([finding.row() for finding in errors], indent=1, ensure_ascii=False)
    store.write(faults, rows.encode(errors="replace") + b"\n")
    hint = "or set ingest.invalid to drop (--invalid drop) to leave out, and count, what cannot be used"
    if params.run.spec.ingest.invalid == "drop":
        hint = "for without what cannot be used no image is left"
    if len(errors) == 1:
        return f"{errors[0]}; {hint}"
    shown = "\n".join(f"  {finding}" for finding in errors[:_SHOWN])
    more = f"\n  and {len(errors) - _SHOWN} more: all are in {faults}" if len(errors) > _SHOWN else ""
    return f"{len(errors)} faults in the annotations:\n{shown}{more}\ncorrect them, {hint}"


def _numbered(checked: Checked, split_of: dict[str, str]) -> Splits:
    """Sort the images into their splits, and number them from 1 in the order of their names."""
    splits: Splits = {name: [] for name in ("train", "val", "test") if name in split_of.values()}
    images = sorted((image for _, image in checked.images if image.filename in split_of), key=lambda i: i.filename)
    for number, image in enumerate(images, start=1):
        splits[split_of[image.filename]].append(replace(image, source_id=number))
    return splits


def _store(store: ObjectStore, name: str, splits: Splits, labels: LabelMap, told: dict[str, Any]) -> str:
    """Write the dataset under the digest of its content; the manifest comes last."""
    shards = {
        (split, number, total): annotations.dump(
            images[len(images) * number // total : len(images) * (number + 1) // total]
        )
        for split, images in splits.items()
        for total in [describe.num_shards(len(images))]
        for number in range(total)
    }
    digest = hashlib.sha256(labels.dump().encode())
    for shard, lines in shards.items():
        digest.update(f"\0{shard}\0".encode() + lines)
    dataset = keys.dataset(name, digest.hexdigest())
    for shard, lines in shards.items():
        store.write(keys.annotations(dataset, *shard), lines)
    store.write(keys.label_map(dataset), labels.dump().encode())
    identity = {"name": name, "sha256": digest.hexdigest()}
    report = identity | describe.report(splits, labels, told["findings"]) | {"notes": told["notes"]}
    store.write(keys.data_report(dataset, "json"), json.dumps(report, indent=1).encode() + b"\n")
    store.write(keys.data_report(dataset, "html"), data_report(report).encode())
    said = {"counts": report["counts"], "severities": describe.severities(told["findings"]), "notes": told["notes"]}
    manifest = identity | describe.manifest(splits, labels) | said
    store.write(keys.manifest(dataset), json.dumps(manifest, indent=1).encode() + b"\n")
    sizes = {f"{split}_images": len(images) for split, images in splits.items()}
    event("dataset_written", dataset=dataset, classes=len(labels), findings=len(told["findings"]), **sizes)
    return dataset
