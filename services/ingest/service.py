"""The ingest stage: turns a source folder into a dataset that is stored under the digest of its content."""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from slipway import keys
from slipway.artifacts.dataset import DatasetManifest, Faults, Finding, IngestResult
from slipway.artifacts.json_io import read_document, write_document
from slipway.dataset import annotations
from slipway.dataset.annotations import AnnotatedImage
from slipway.dataset.source_folder import source_digest
from slipway.errors import InputError
from slipway.events import event
from slipway.metrics import stage_gauges
from slipway.report.pages import data_report
from slipway.run.names import slug
from slipway.run.plan import Plan, initial_checkpoint, resolve
from slipway.run.spec import DatasetSpec, TrainSpec
from slipway.stage.runner import StageParams, write_result
from slipway.store.from_url import open_store
from slipway.store.interface import ObjectStore
from slipway.store.sweep_lock import ingest_lock
from slipway.weights.prepare import PreparedWeights, prepare_weights

from services.ingest.images.finding_pictures import draw_findings
from services.ingest.label_map import accepted_labels, choose_labels, read_given_label_map
from services.ingest.manifest import (
    Dataset,
    Splits,
    build_manifest,
    build_report,
    count_by_code,
    count_by_severity,
    find_absent_labels,
    num_shards,
)
from services.ingest.pipeline_config.comparison import Counterparts, compare_config
from services.ingest.pipeline_config.source_config import SourceConfig, read_source_config
from services.ingest.scan_source import ScannedSource, scan_source
from services.ingest.source_weights import add_weights, prepare_source_weights, with_weights
from services.ingest.splits.assign import assign, wants_source_split
from services.ingest.train_boxes import read_train_boxes
from services.ingest.validate import check_dataset

_FAULTS_IN_MESSAGE = 5  # the file that the message names has all of them


def ingest(params: StageParams, store: ObjectStore) -> IngestResult:
    """Check and store the run's source, or take the dataset that the run refers to, and resolve the run's plan."""
    with ingest_lock(store, params.name):
        start = time.monotonic()
        spec = params.run.spec
        weights, notes = _prepare_weights(params, store)
        if spec.dataset.ref:
            folder = _existing_dataset(spec.dataset.ref, store)
        else:
            folder = _ingest_source(params, store, notes)
        manifest = read_document(store, keys.manifest(folder), DatasetManifest)
        _set_finding_metrics(manifest.severities)
        config = read_source_config(open_store(spec.dataset.source)) if spec.dataset.source else None
        plan = _resolve_plan(with_weights(spec.train, weights), manifest, store, config)
        plan = add_weights(plan, weights, spec.train, manifest.labels) if weights else plan
        store.write(keys.plan(params.name), plan.dump())
        for split, counts in manifest.splits.items():
            stage_gauges.DATASET_IMAGES.set(counts.images, split=split)
        result = IngestResult(
            dataset=folder,
            labels=manifest.labels,
            splits=manifest.splits,
            counts=manifest.counts,
            notes=manifest.notes,
            pipeline_config=compare_config(config, Counterparts(plan, manifest.labels, manifest.splits))
            if config
            else None,
            duration_sec=round(time.monotonic() - start, 2),
        )
        return write_result(store, params.name, "ingest", result)


def _resolve_plan(train: TrainSpec, manifest: DatasetManifest, store: ObjectStore, config: SourceConfig | None) -> Plan:
    """Resolve the plan; of a config that is meant to train for fewer steps than the plan, they are taken over."""
    images, boxes = manifest.splits["train"].images, read_train_boxes(store, manifest)
    plan = resolve(train, images, manifest.median_size, boxes, manifest.labels)
    if config is None or train.steps is not None or not 0 < config.num_steps < plan.steps:
        return plan
    shorter = train.model_copy(update={"steps": config.num_steps})
    reason = f"num_steps of {config.file}, fewer than the {plan.steps} that would be chosen ({plan.reasons['steps']})"
    plan = resolve(shorter, images, manifest.median_size, boxes, manifest.labels)
    return plan.model_copy(update={"reasons": {**plan.reasons, "steps": reason}})


def _prepare_weights(params: StageParams, store: ObjectStore) -> tuple[PreparedWeights | None, list[str]]:
    """Check the initial checkpoint, if the run trains from one, before any image is read; return notes on it, too."""
    spec, notes = params.run.spec, list[str]()
    preset, address = initial_checkpoint(spec.train)
    if spec.train.initial_checkpoint is None and spec.dataset.source:
        weights, notes = prepare_source_weights(spec.dataset.source, preset, store, params.scratch)
        if weights:
            return weights, notes
    if address is None or "train" not in spec.stages:
        return None, notes
    return prepare_weights(address, preset, store, params.scratch), notes


def _existing_dataset(ref: str, store: ObjectStore) -> str:
    name, _, sha256 = ref.partition("@")
    folder = keys.dataset(name, sha256)
    if store.stat(keys.manifest(folder)) is None:
        raise InputError(f"dataset {ref}: not in the store {store.url}; ingest its source first")
    return folder


def _ingest_source(params: StageParams, store: ObjectStore, weight_notes: Sequence[str]) -> str:
    """Check the run's source, store it as a dataset, and return the prefix of the dataset's keys."""
    spec = params.run.spec
    source = _open_source(spec.dataset)
    given_labels = read_given_label_map(spec.ingest.label_map, source)
    scan = scan_source(source, store, spec.ingest, accepted_labels(given_labels))
    findings = [*scan.findings, *(scan.split.findings if wants_source_split(spec.ingest) else ())]
    _set_finding_metrics(count_by_severity(findings))  # before a source is refused, so that they show why
    _refuse_errors(findings, params, store, is_empty=not scan.images)
    try:
        assignment = assign(scan.images, scan.split, spec.ingest)
        splits = _split_images(scan, assignment.split_of)
        choice = choose_labels(
            [image for split in splits.values() for image in split], given_labels, scan.files, source
        )
    except InputError as error:
        raise InputError(_explain(error, findings, params, store)) from error
    _refuse_errors(choice.findings, params, store, is_empty=False)
    for note in assignment.notes:
        event("split_chosen", note=note)
    findings += [*assignment.findings, *choice.findings]
    findings += [*check_dataset(splits), *find_absent_labels(splits, choice.labels)]
    for code, count in count_by_code(findings).items():
        event("findings_counted", code=code, count=count)
    name = spec.dataset.name or slug(str(spec.dataset.source).rstrip("/").rpartition("/")[2])
    notes = [*scan.notes, *assignment.notes, *([choice.note] if choice.note else []), *weight_notes]
    images_by_file = dict(scan.images) | {image.filename: image for _, image in scan.images}
    return _write_dataset(store, Dataset(name, splits, choice.labels, findings, notes, images_by_file))


def _set_finding_metrics(counts_by_code: Mapping[str, Mapping[str, int]]) -> None:
    for code, counts in counts_by_code.items():
        for severity, count in counts.items():
            stage_gauges.DATASET_FINDINGS.set(count, code=code, severity=severity)


def _open_source(spec: DatasetSpec) -> ObjectStore:
    """Open the source, and check that its files are those that the run was submitted with."""
    source = open_store(str(spec.source))
    if spec.sha256 is not None and source_digest(source) != spec.sha256:
        raise InputError(f"{source.url}: its files changed since this run was asked for; run the same command again")
    return source


def _refuse_errors(findings: Sequence[Finding], params: StageParams, store: ObjectStore, is_empty: bool) -> None:
    """Write all errors to a key of the run, unless they may be left out and images remain.

    Raises:
      InputError: It was done; the message has the first few.
    """
    errors = [finding for finding in findings if finding.severity == "error"]
    if not errors or (params.run.spec.ingest.invalid == "drop" and not is_empty):
        return
    hint = "or set ingest.invalid to drop (--invalid drop) to leave out, and count, what cannot be used"
    if params.run.spec.ingest.invalid == "drop":
        hint = "for without what cannot be used no image is left"
    faults = _write_faults(errors, params, store)
    raise InputError(f"{faults}; {hint}" if len(errors) == 1 else f"{faults}\ncorrect them, {hint}")


def _explain(error: InputError, findings: Sequence[Finding], params: StageParams, store: ObjectStore) -> str:
    """Return an error's message behind the findings that are its cause, if there are any: errors, or else warnings.

    The error's own advice is left out then, since it helps against the consequence only.
    """
    causes = [finding for finding in findings if finding.severity == "error"]
    causes = causes or [finding for finding in findings if finding.severity == "warning"]
    if not causes:
        return str(error)
    return f"{_write_faults(causes, params, store)}\nso {str(error).partition('; ')[0]}"


def _write_faults(findings: Sequence[Finding], params: StageParams, store: ObjectStore) -> str:
    """Write the findings to a key of the run, and return the first few as text."""
    key = keys.faults(params.name)
    write_document(store, key, Faults(tuple(findings)))
    if len(findings) == 1:
        return str(findings[0])
    lines = "\n".join(f"  {finding}" for finding in findings[:_FAULTS_IN_MESSAGE])
    if len(findings) > _FAULTS_IN_MESSAGE:
        lines += f"\n  and {len(findings) - _FAULTS_IN_MESSAGE} more: all are in {key}"
    return f"{len(findings)} faults in the annotations:\n{lines}"


def _split_images(scan: ScannedSource, split_of: Mapping[str, str]) -> dict[str, list[AnnotatedImage]]:
    """Sort the images into their splits, and number them from 1 in the order of their names."""
    names = set(split_of.values())
    splits: dict[str, list[AnnotatedImage]] = {name: [] for name in ("train", "val", "test") if name in names}
    images = sorted((image for _, image in scan.images if image.filename in split_of), key=lambda i: i.filename)
    for number, image in enumerate(images, start=1):
        splits[split_of[image.filename]].append(replace(image, source_id=number))
    return splits


def _write_dataset(store: ObjectStore, dataset: Dataset) -> str:
    """Write the dataset under the digest of its content, its manifest last, and return the prefix of its keys."""
    shards = _annotation_shards(dataset.splits)
    label_text = dataset.labels.dump().encode()
    digest = hashlib.sha256(label_text)
    for shard, lines in shards.items():
        digest.update(f"\0{shard}\0".encode() + lines)
    sha256 = digest.hexdigest()
    folder = keys.dataset(dataset.name, sha256)
    for shard, lines in shards.items():
        store.write(keys.annotations(folder, *shard), lines)
    store.write(keys.label_map(folder), label_text)
    report = build_report(dataset, sha256)
    pictures = list(draw_findings(dataset.findings, dataset.images_by_file, dataset.labels, store))
    write_document(store, keys.data_report(folder, "json"), report)
    store.write(keys.data_report(folder, "html"), data_report(report, pictures).encode())
    write_document(store, keys.manifest(folder), build_manifest(dataset, sha256))
    counts = {f"{split}_images": len(images) for split, images in dataset.splits.items()}
    event("dataset_written", dataset=folder, classes=len(dataset.labels), findings=len(dataset.findings), **counts)
    return folder


def _annotation_shards(splits: Splits) -> dict[tuple[str, int, int], bytes]:
    """Return the lines of each shard by its split, its number and the number of the split's shards.

    The text of these three is part of the dataset's digest, so it must not change.
    """
    return {
        (split, number, total): annotations.dump(
            images[len(images) * number // total : len(images) * (number + 1) // total]
        )
        for split, images in splits.items()
        for total in [num_shards(len(images))]
        for number in range(total)
    }
