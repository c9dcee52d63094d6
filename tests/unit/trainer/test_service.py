"""A training that has ended and whose worker starts again: this needs no TensorFlow."""

import json

import pytest

from slipway import keys
from slipway.artifacts.checkpoints import Checkpoints
from slipway.artifacts.dataset import DatasetManifest, IngestResult
from slipway.artifacts.evaluation import Verdict
from slipway.artifacts.json_io import write_document
from slipway.artifacts.training import TrainResult
from slipway.dataset.labels import LabelMap
from slipway.run.spec import TrainingRun
from slipway.stage.runner import StageParams
from slipway.store.folder import FolderStore

from services.trainer.service import train

DATASET = f"datasets/ponds/{'0' * 64}"
PLAN = """
preset: {value: retinanet_resnet10_320, reason: as asked}
image_size: {value: 128, reason: as asked}
batch_size: {value: 4, reason: as asked}
steps: {value: 60, reason: as asked}
learning_rate: {value: 0.001, reason: as asked}
checkpoint_every: {value: 20, reason: as asked}
initial_checkpoint: {value: null, reason: as asked}
"""


@pytest.fixture
def store(tmp_path):
    """A training that patience ended at step 40 of 60, with its final verdict."""
    store = FolderStore(tmp_path / "store")
    manifest = DatasetManifest(name="ponds", sha256="0" * 64, labels=("duck",), splits={}, median_size=(64, 48))
    write_document(store, keys.result("ponds", "ingest"), IngestResult(dataset=DATASET))
    write_document(store, keys.manifest(DATASET), manifest)
    store.write(keys.label_map(DATASET), LabelMap(("duck",)).dump().encode())
    store.write(keys.plan("ponds"), PLAN.encode())
    Checkpoints(store, keys.stage("ponds", "train")).publish(40, [], last=True)
    write_document(store, keys.verdict("ponds"), Verdict(best=20, last=40, stop=True, final=True))
    return store


def params(tmp_path, index):
    spec = {"dataset": {"source": "/ponds"}, "train": {"workers": 2}}
    return StageParams(TrainingRun.model_validate({"metadata": {"name": "ponds"}, "spec": spec}), index, tmp_path)


def test_worker_0_of_a_finished_training_needs_no_other_worker_to_write_the_result(store, tmp_path):
    result = train(params(tmp_path, index=0), store)
    preset = "retinanet_resnet10_320"
    assert result == TrainResult(steps=40, best_step=20, duration_sec=result.duration_sec, preset=preset)
    assert json.loads(store.read("runs/ponds/train/result.json")) == {
        "duration_sec": result.duration_sec,
        "steps": 40,
        "best_step": 20,
        "preset": preset,
    }


def test_another_worker_of_a_finished_training_leaves_and_writes_nothing(store, tmp_path):
    assert train(params(tmp_path, index=1), store) is None
    assert store.stat("runs/ponds/train/result.json") is None
