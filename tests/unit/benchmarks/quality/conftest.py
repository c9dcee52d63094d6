"""A partitioned dataset of three images in a store, as the quality benchmark prepares one."""

import pytest

from slipway import keys
from slipway.artifacts.dataset import DatasetManifest, ManifestSplit
from slipway.artifacts.inputs import RunInputs
from slipway.dataset import annotations
from slipway.dataset.annotations import AnnotatedImage, LabeledBox
from slipway.dataset.boxes import Box, ImageSize
from slipway.dataset.labels import LabelMap
from slipway.run.spec import TrainingRun
from slipway.store.folder import FolderStore
from tests.benchmarks.quality.runs import Prepared
from tests.fakes.plans import small_plan

DUCK = LabeledBox("duck", Box(10, 20, 60, 40))
SWAN = LabeledBox("swan", Box(0, 0, 200, 100), truncated=True)
IMAGES = {
    "train": [
        AnnotatedImage("a.png", 1, "a" * 64, "png", ImageSize(200, 100), (DUCK, SWAN)),
        AnnotatedImage("b.jpg", 2, "b" * 64, "jpeg", ImageSize(200, 100), ()),
    ],
    "test": [AnnotatedImage("c.jpg", 3, "c" * 64, "jpeg", ImageSize(200, 100), (DUCK,))],
}


@pytest.fixture
def prepared(tmp_path):
    store = FolderStore(tmp_path / "store")
    splits = {split: ManifestSplit(images=len(images), boxes=1, shards=1) for split, images in IMAGES.items()}
    manifest = DatasetManifest(
        name="ponds", sha256="0" * 64, labels=("duck", "swan"), splits=splits, median_size=(200, 100)
    )
    for split, images in IMAGES.items():
        store.write(keys.annotations(manifest.folder, split, 0, 1), annotations.dump(images))
        for image in images:
            store.write(keys.blob(image.sha256), image.filename.encode())
    run = TrainingRun.model_validate({"metadata": {"name": "ponds"}, "spec": {"dataset": {"source": "ponds"}}})
    inputs = RunInputs(run, manifest.folder, manifest, LabelMap(("duck", "swan")), small_plan())
    return Prepared("ponds", 0, tmp_path / "ponds", ("--seed", "0"), store, inputs)
