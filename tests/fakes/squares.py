"""A run of drawn squares that is done but for the detection: a small model with random weights."""

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from slipway import keys
from slipway.artifacts.checkpoints import Checkpoints
from slipway.artifacts.dataset import DatasetManifest, IngestResult, ManifestSplit
from slipway.artifacts.evaluation import BestCheckpoint
from slipway.artifacts.json_io import write_document
from slipway.dataset import annotations
from slipway.dataset.annotations import AnnotatedImage, LabeledBox
from slipway.dataset.boxes import Box, ImageSize
from slipway.dataset.labels import LabelMap
from slipway.run.run_file import begin_run, parse_run
from slipway.stage.runner import StageParams
from slipway.store.folder import FolderStore
from slipway.store.interface import ObjectStore
from tests.fakes.plans import small_plan

from services.exporter.service import export
from services.preprocess.service import preprocess
from services.trainer.pipeline_config import dump, pipeline_config

File = tuple[str, bytes, ImageSize, tuple[LabeledBox, ...]]

SIZES = [ImageSize(200, 120), ImageSize(90, 160), ImageSize(128, 128), ImageSize(310, 100)]
NAME = "squares"
RUN = parse_run(
    "{apiVersion: slipway.dev/v1alpha1, kind: TrainingRun, metadata: {name: squares}, "
    "spec: {dataset: {source: /drawn}, detect: {scoreThreshold: 0.0, maxImages: 3}}}",
    "test",
)


def export_squares(scratch: Path) -> FolderStore:
    """Return the store, which is in a folder below `scratch`."""
    store = FolderStore(scratch / "store")
    write_dataset(store, [draw(size, number) for number, size in enumerate(SIZES)])
    write_training(store, scratch)
    export(params(scratch, "export"), store)
    return store


def params(scratch: Path, stage: str) -> StageParams:
    folder = scratch / stage
    folder.mkdir()
    return StageParams(RUN, 0, folder)


def draw(size: ImageSize, number: int) -> File:
    """Draw noise with one light square."""
    image = Image.fromarray(np.random.default_rng(number).integers(0, 99, (size.height, size.width, 3), dtype=np.uint8))
    box = Box(10, 20, 50, 60)
    ImageDraw.Draw(image).rectangle(tuple(box), fill=(240, 230, 90))
    file = io.BytesIO()
    image.save(file, "JPEG")
    return f"{number}.jpg", file.getvalue(), size, (LabeledBox("square", box),)


def write_dataset(store: ObjectStore, files: list[File]) -> None:
    """Write the documents of ingest, with every image in both splits, and the records."""
    begin_run(RUN, store)
    images = []
    for number, (name, content, size, boxes) in enumerate(files, start=1):
        digest = hashlib.sha256(content).hexdigest()
        store.write(keys.blob(digest), content)
        images.append(AnnotatedImage(name, number, digest, "jpeg", size, boxes))
    labels = LabelMap.from_labels([labeled_box.label for image in images for labeled_box in image.boxes])
    counts = ManifestSplit(images=len(images), boxes=len(images), shards=1)
    manifest = DatasetManifest(
        name=NAME,
        sha256="0" * 64,
        labels=labels.names,
        splits={"train": counts, "test": counts},
        median_size=(128, 128),
    )
    dataset = manifest.folder
    for split in ("train", "test"):
        store.write(keys.annotations(dataset, split, 0, 1), annotations.dump(images))
    write_document(store, keys.manifest(dataset), manifest)
    store.write(keys.label_map(dataset), labels.dump().encode())
    write_document(store, keys.result(NAME, "ingest"), IngestResult(dataset=dataset, duration_sec=0.5))


def write_training(store: ObjectStore, scratch: Path) -> None:
    """Write records, plan, pipeline config, a checkpoint of random weights, and its measurement."""
    import tensorflow as tf
    from official.core import task_factory

    preprocess(StageParams(RUN, 0, scratch), store)
    preprocess(StageParams(RUN, 1, scratch), store)
    plan = small_plan()
    store.write(keys.plan(NAME), plan.dump())
    labels = LabelMap.parse(store.read(keys.label_map(keys.dataset(NAME, "0" * 64))).decode())
    config = pipeline_config(plan, len(labels), 1, None)
    store.write(keys.pipeline_config(NAME), dump(config))
    model = task_factory.get_task(config.task).build_model()
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:  # spreads the scores, which an untrained model has all alike
        variable.assign_add(rng.normal(0, 0.02, variable.shape))
    tf.train.Checkpoint(model=model).write(str(scratch / "ckpt-10"))
    Checkpoints(store, keys.best_checkpoint(NAME)).publish(10, sorted(scratch.glob("ckpt-10.*")))
    best: dict[str, Any] = {"step": 10, "split": "test", "chosen_on": "test", "note": "It flatters.", "images": 4}
    row = {"label": "square", "AP": 0.1, "AP50": 0.2, "images": 4, "boxes": 4}
    best |= {"metrics": {"AP": 0.1, "AP50": 0.2}, "per_class": [row]}
    rates = {"precision": 0.5, "recall": 0.25, "f1": 1 / 3}
    best["operating_points"] = {"split": "test", "overall": {"threshold": 0.2, **rates}, "reported": rates}
    write_document(store, keys.best(NAME), BestCheckpoint.model_validate(best))
