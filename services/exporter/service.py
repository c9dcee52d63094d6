"""Export a run's best checkpoint, and refuse to when the export is not the same model."""

import hashlib
import importlib.metadata
import json
import logging
import time
from dataclasses import asdict
from pathlib import Path

from slipway import keys
from slipway.artifacts.checkpoints import Checkpoints
from slipway.artifacts.untyped_json import read_json
from slipway.dataset.labels import LabelMap
from slipway.events import event
from slipway.metrics import registry as metrics
from slipway.run.plan import Plan
from slipway.run.presets import load_preset
from slipway.stage.runner import Result, StageParams, write_result
from slipway.store.interface import ObjectStore, upload_all

from services.exporter.compare import Parity, ParityError
from services.exporter.export import (
    SIGNATURES,
    ConversionError,
    Trained,
    export_saved_model,
    export_tflite,
    load_trained,
)
from services.exporter.model_card import Facts, model_card
from services.exporter.parity import check_saved_model, check_tflite

_CHECKED_IMAGES = 8  # of several sizes as a rule; each takes a fraction of a second
_PACKAGES = ("tensorflow", "tensorflow-cpu", "tf-models-official", "slipway")


def export(params: StageParams, store: ObjectStore) -> Result:
    """Write SavedModel, TFLite, label map, model card and, last of them, the manifest."""
    started = time.monotonic()
    best = read_json(store, keys.best(params.name))
    plan = Plan.parse(store.read(keys.resolved(params.name)))
    dataset = read_json(store, keys.result(params.name, "ingest"))["dataset"]
    labels = LabelMap.parse(store.read(keys.label_map(dataset)).decode(), keys.label_map(dataset))
    trained = _load(params, store, plan, best["step"])
    records = _records(params, store)

    folder = params.scratch / "export"
    parity = _saved_model(trained, folder / "saved_model", records, params.scratch)
    omitted = _tflite(trained, folder, records, params.scratch) if params.run.spec.export.tflite else {}
    facts = Facts(
        run=params.name,
        plan=plan,
        dataset=read_json(store, keys.manifest(dataset)),
        best=best,
        labels=labels.names,
        keeps_aspect_ratio=trained.config.task.validation_data.parser.keep_aspect_ratio,
        parity=asdict(parity),
        versions=_versions(),
        files=_files(folder),
        omitted=omitted,
    )
    (folder / "label_map.pbtxt").write_text(labels.dump(), encoding="utf-8")
    (folder / "model_card.md").write_text(model_card(facts), encoding="utf-8")
    _publish(store, params.name, folder, facts)
    outcome = {"step": best["step"], "parity": facts.parity, "omitted": omitted, "duration_sec": _since(started)}
    return write_result(store, params.name, "export", outcome)


def _load(params: StageParams, store: ObjectStore, plan: Plan, step: int) -> Trained:
    checkpoints = Checkpoints(store, keys.best_checkpoint(params.name))
    checkpoint = checkpoints.fetch(step, params.scratch / "checkpoint")
    pipeline = store.read(keys.pipeline_config(params.name))
    return load_trained(load_preset(plan.preset).experiment, pipeline, checkpoint)


def _records(params: StageParams, store: ObjectStore) -> list[bytes]:
    """Read the first records of the test split: real images, as the evaluation saw them."""
    import tensorflow as tf

    preprocessed = read_json(store, keys.result(params.name, "preprocess"))
    shard = keys.shard(preprocessed["records"], "test", 0, preprocessed["splits"]["test"]["shards"])
    path = params.scratch / "test.tfrecord"
    store.download(shard, path)
    return list(tf.data.TFRecordDataset(str(path)).take(_CHECKED_IMAGES).as_numpy_iterator())


def _saved_model(trained: Trained, folder: Path, records: list[bytes], scratch: Path) -> Parity:
    started = time.monotonic()
    export_saved_model(trained, folder)
    event("exported", format="saved_model", bytes=_size(folder), duration_sec=_since(started))
    metrics.EXPORT_BYTES.set(_size(folder), format="saved_model")
    started = time.monotonic()
    parity = check_saved_model(trained, folder, records, scratch)
    event("parity", format="saved_model", **asdict(parity), duration_sec=_since(started))
    _tell("saved_model", parity)
    return parity


def _tflite(trained: Trained, folder: Path, records: list[bytes], scratch: Path) -> dict[str, str]:
    """Write the TFLite file when it detects what the model does; return what was left out, and why."""
    started = time.monotonic()
    try:
        content = export_tflite(trained)
        event("exported", format="tflite", bytes=len(content), duration_sec=_since(started))
        parity = check_tflite(trained, content, records, scratch)
    except (ConversionError, ParityError) as error:
        event("tflite_omitted", logging.WARNING, reason=str(error))
        return {"model.tflite": str(error)}
    event("parity", format="tflite", **asdict(parity))
    metrics.EXPORT_BYTES.set(len(content), format="tflite")
    _tell("tflite", parity)
    (folder / "model.tflite").write_bytes(content)
    return {}


def _tell(format: str, parity: Parity) -> None:
    metrics.EXPORT_BOX_DIFFERENCE.set(parity.max_box_diff_px, format=format)
    metrics.EXPORT_SCORE_DIFFERENCE.set(parity.max_score_diff, format=format)
    metrics.got_on()


def _publish(store: ObjectStore, run: str, folder: Path, facts: Facts) -> None:
    """Upload everything, the manifest last: present means whole."""
    store.delete(keys.export_manifest(run))
    upload_all(store, folder, keys.stage(run, "export"))
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    manifest = {
        "run": run,
        "step": facts.best["step"],
        "preset": facts.plan.preset,
        "image_size": facts.plan.image_size,
        "labels": list(facts.labels),
        "dataset": {"name": facts.dataset["name"], "sha256": facts.dataset["sha256"]},
        "signatures": SIGNATURES,
        "parity": facts.parity,
        "omitted": facts.omitted,
        "versions": facts.versions,
        "files": {path.relative_to(folder).as_posix(): _digest(path) for path in files},
    }
    store.write(keys.export_manifest(run), json.dumps(manifest, indent=1).encode() + b"\n")


def _files(folder: Path) -> dict[str, str]:
    """Say of each format what it is for, and how large."""
    formats = {"saved_model": "for TensorFlow and TensorFlow Serving", "model.tflite": "for phones and small boards"}
    return {
        name: f"{use}, {_size(folder / name) / 1e6:.1f} MB" for name, use in formats.items() if (folder / name).exists()
    }


def _versions() -> dict[str, str]:
    found = {dist.name.replace("_", "-"): dist.version for dist in importlib.metadata.distributions()}
    return {name: found[name] for name in _PACKAGES if name in found}


def _size(path: Path) -> int:
    return sum(p.stat().st_size for p in (path, *path.rglob("*")) if p.is_file())


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _since(started: float) -> float:
    return round(time.monotonic() - started, 1)
