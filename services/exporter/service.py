"""Export stage: writes a run's best checkpoint as SavedModel and TFLite, and checks that both detect the same."""

import importlib.metadata
import logging
import time
from collections.abc import Mapping
from pathlib import Path

from slipway import keys
from slipway.artifacts.checkpoints import Checkpoints
from slipway.artifacts.error_analysis import ErrorAnalysis
from slipway.artifacts.evaluation import BestCheckpoint
from slipway.artifacts.export import DatasetIdentity, ExportManifest, ExportResult, Parity
from slipway.artifacts.inputs import RunInputs
from slipway.artifacts.json_io import read_document, read_optional, write_document
from slipway.artifacts.weights import RestoredWeights
from slipway.digests import sha256_file
from slipway.events import event
from slipway.metrics import stage_gauges
from slipway.stage.runner import StageParams, write_result
from slipway.store.interface import ObjectStore, upload_all
from slipway.text import format_bytes

from services.exporter.compare import ParityError
from services.exporter.export import (
    SIGNATURES,
    ConversionError,
    TrainedModel,
    export_saved_model,
    export_tflite,
    load_trained_model,
)
from services.exporter.model_card import Facts, model_card
from services.exporter.parity import check_saved_model, check_tflite

_PARITY_IMAGES = 8  # of several sizes as a rule; each takes a fraction of a second
_PACKAGES = ("tensorflow", "tensorflow-cpu", "tf-models-official", "slipway")
_PURPOSES = {"saved_model": "for TensorFlow and TensorFlow Serving", "model.tflite": "for phones and small boards"}


def export(params: StageParams, store: ObjectStore) -> ExportResult:
    """Write SavedModel, TFLite file, label map, model card, and the manifest last."""
    start_time = time.monotonic()
    inputs = RunInputs.load(store, params.run)
    best = read_document(store, keys.best(params.name), BestCheckpoint)
    trained_model = _load(store, inputs, best.step, params.scratch)
    records = _first_records(store, inputs, params.scratch)
    folder = params.scratch / "export"
    parity = _write_saved_model(trained_model, folder / "saved_model", records, params.scratch)
    omitted_files = {}
    if params.run.spec.export.tflite:
        omitted_files = _write_tflite(trained_model, folder, records, params.scratch)
    facts = Facts(
        run=params.name,
        plan=inputs.plan,
        dataset=inputs.manifest,
        best=best,
        labels=inputs.labels.names,
        keeps_aspect_ratio=trained_model.config.task.validation_data.parser.keep_aspect_ratio,
        parity=parity,
        versions=_versions(),
        files=_describe_files(folder),
        omitted_files=omitted_files,
        custom_preset=params.run.spec.train.custom_preset,
        advice=_read_advice(store, params.name),
        weights=read_optional(store, keys.restored_weights(params.name), RestoredWeights),
    )
    _write_texts(folder, inputs, facts)
    _publish(store, folder, facts)
    result = ExportResult(step=best.step, parity=parity, omitted=omitted_files, duration_sec=_seconds_since(start_time))
    return write_result(store, params.name, "export", result)


def _load(store: ObjectStore, inputs: RunInputs, step: int, scratch: Path) -> TrainedModel:
    checkpoint = Checkpoints(store, keys.best_checkpoint(inputs.name)).fetch(step, scratch / "checkpoint")
    pipeline = store.read(keys.pipeline_config(inputs.name))
    return load_trained_model(inputs.preset.experiment, pipeline, checkpoint)


def _read_advice(store: ObjectStore, run: str) -> tuple[str, ...]:
    """Read the evaluator's advice; none from an older version."""
    errors = read_optional(store, keys.error_analysis(run), ErrorAnalysis)
    return errors.advice if errors else ()


def _first_records(store: ObjectStore, inputs: RunInputs, scratch: Path) -> list[bytes]:
    """Read the first records of the test split: real images, as in the evaluation."""
    import tensorflow as tf

    path = scratch / "test.tfrecord"
    store.download(inputs.records.shard_keys("test")[0], path)
    return list(tf.data.TFRecordDataset(str(path)).take(_PARITY_IMAGES).as_numpy_iterator())


def _write_saved_model(trained_model: TrainedModel, folder: Path, records: list[bytes], scratch: Path) -> Parity:
    start_time = time.monotonic()
    export_saved_model(trained_model, folder)
    event("exported", format="saved_model", bytes=_size(folder), duration_sec=_seconds_since(start_time))
    stage_gauges.EXPORT_BYTES.set(_size(folder), format="saved_model")
    start_time = time.monotonic()
    parity = check_saved_model(trained_model, folder, records, scratch)
    event("parity", format="saved_model", **parity.content(), duration_sec=_seconds_since(start_time))
    _set_parity_gauges("saved_model", parity)
    return parity


def _write_tflite(trained_model: TrainedModel, folder: Path, records: list[bytes], scratch: Path) -> dict[str, str]:
    """Write the TFLite file if it detects what the model detects; else return its name with the reason."""
    start_time = time.monotonic()
    try:
        content = export_tflite(trained_model)
        event("exported", format="tflite", bytes=len(content), duration_sec=_seconds_since(start_time))
        parity = check_tflite(trained_model, content, records, scratch)
    except (ConversionError, ParityError) as error:
        event("tflite_omitted", logging.WARNING, reason=str(error))
        return {"model.tflite": str(error)}
    event("parity", format="tflite", **parity.content())
    stage_gauges.EXPORT_BYTES.set(len(content), format="tflite")
    _set_parity_gauges("tflite", parity)
    (folder / "model.tflite").write_bytes(content)
    return {}


def _set_parity_gauges(format: str, parity: Parity) -> None:
    stage_gauges.EXPORT_BOX_DIFFERENCE.set(parity.max_box_diff_px, format=format)
    stage_gauges.EXPORT_SCORE_DIFFERENCE.set(parity.max_score_diff, format=format)
    stage_gauges.mark_progress()


def _write_texts(folder: Path, inputs: RunInputs, facts: Facts) -> None:
    (folder / "label_map.pbtxt").write_text(inputs.labels.dump(), encoding="utf-8")
    (folder / "model_card.md").write_text(model_card(facts), encoding="utf-8")


def _publish(store: ObjectStore, folder: Path, facts: Facts) -> None:
    """Upload every file, then write the manifest: an export that has one is complete."""
    store.delete(keys.export_manifest(facts.run))
    upload_all(store, folder, keys.stage(facts.run, "export"))
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    manifest = ExportManifest(
        run=facts.run,
        step=facts.best.step,
        preset=facts.plan.preset,
        image_size=facts.plan.image_size,
        labels=facts.labels,
        operating_points=facts.best.operating_points,
        dataset=DatasetIdentity(name=facts.dataset.name, sha256=facts.dataset.sha256),
        signatures=SIGNATURES,
        parity=facts.parity,
        omitted=facts.omitted_files,
        versions=facts.versions,
        files={path.relative_to(folder).as_posix(): sha256_file(path) for path in files},
    )
    write_document(store, keys.export_manifest(facts.run), manifest)


def _describe_files(folder: Path) -> Mapping[str, str]:
    """Return the purpose and the size of each format in the folder."""
    return {
        name: f"{purpose}, {format_bytes(_size(folder / name))}"
        for name, purpose in _PURPOSES.items()
        if (folder / name).exists()
    }


def _versions() -> Mapping[str, str]:
    versions = {package.name.replace("_", "-"): package.version for package in importlib.metadata.distributions()}
    return {name: versions[name] for name in _PACKAGES if name in versions}


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in (path, *path.rglob("*")) if file.is_file())


def _seconds_since(start_time: float) -> float:
    return round(time.monotonic() - start_time, 1)
