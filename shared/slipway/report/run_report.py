"""Gather what the stages left in the store for the page of a run."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from slipway import keys
from slipway.artifacts.untyped_json import read_json, read_optional
from slipway.errors import MissingKey
from slipway.report.pages import RunReport
from slipway.run.spec import TrainingRun
from slipway.store.interface import ObjectStore

_FEW_IMAGES = 30  # below it one image more or less found moves AP50 by several points
_TIMED = ("ingest", "preprocess", "train", "export")  # the evaluator works beside the trainer, inside its time


def assemble(run: TrainingRun, store: ObjectStore, samples: Sequence[Mapping[str, Any]], seconds: float) -> RunReport:
    """Put the report together.

    Args:
      samples: As `RunReport.samples`.
      seconds: How long detecting took.
    """
    name = run.metadata.name
    dataset = read_json(store, keys.result(name, "ingest"))["dataset"]
    best, manifest = read_json(store, keys.best(name)), read_json(store, keys.export_manifest(name))
    resolved = yaml.safe_load(store.read(keys.resolved(name)))
    return RunReport(
        name=name,
        data=read_optional(store, keys.data_report(dataset, "json")),
        resolved=[{"field": field, **row} for field, row in resolved.items()],
        progress=_lines(store, keys.progress(name)),
        metrics=_lines(store, keys.metrics(name)),
        best=best,
        last=best.get("last") or {},
        per_class=best.get("per_class", ()),
        curves=read_optional(store, keys.curves(name)),
        samples=samples,
        lineage=_lineage(run, store, dataset, manifest),
        durations=_durations(store, name) | {"detect": seconds},
        usage=_usage(name),
        caveats=_caveats(best),
    )


def _lineage(run: TrainingRun, store: ObjectStore, dataset: str, manifest: Mapping[str, Any]) -> dict[str, str]:
    data = read_json(store, keys.manifest(dataset))
    records = read_json(store, keys.result(run.metadata.name, "preprocess"))["records"]
    lineage = {
        "run": run.spec.digest(),
        "source": data.get("source_sha256"),
        "dataset": data["sha256"],
        "records": records,
        "preset": manifest["preset"],
        "seed": run.spec.train.seed,
        "checkpoint step": manifest["step"],
        **manifest["versions"],
    }
    return {key: str(value) for key, value in lineage.items() if value is not None}


def _durations(store: ObjectStore, run: str) -> dict[str, float]:
    results = {stage: read_optional(store, keys.result(run, stage)) for stage in _TIMED}
    return {stage: float(result["duration_sec"]) for stage, result in results.items() if "duration_sec" in result}


def _usage(run: str) -> list[str]:
    """Write commands for somebody in the store's folder, to which the keys are relative."""
    export = keys.stage(run, "export")
    return [
        f"# in the folder of the outputs, where runs/ is:\nslipway detect {export} IMAGES --out DETECTIONS",
        f"python -m services.detector.detect_folder --model {export} --images IMAGES --out DETECTIONS",
        "import tensorflow as tf\n"
        f'detect = tf.saved_model.load("{keys.saved_model(run)}").signatures["serving_default"]\n'
        'image = tf.io.decode_image(tf.io.read_file("image.jpg"), channels=3, expand_animations=False)\n'
        "found = detect(image_tensor=image[tf.newaxis])\n"
        'print(found["detection_boxes"][0], found["detection_classes"][0], found["detection_scores"][0])',
    ]


def _caveats(best: Mapping[str, Any]) -> list[str]:
    images = best.get("images", 0)
    if images >= _FEW_IMAGES:
        return []
    return [f"Measured on {images} {best.get('split', 'test')} images only: the figures are noisy by several points."]


def _lines(store: ObjectStore, key: str) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in store.read(key).splitlines()]
    except MissingKey:
        return []
