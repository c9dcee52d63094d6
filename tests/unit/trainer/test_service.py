"""The parts of the stage that need no TensorFlow: who starts again with nothing left to train."""

import json

import pytest

from slipway import keys
from slipway.artifacts.checkpoints import Checkpoints
from slipway.run.spec import TrainingRun
from slipway.stage.runner import StageParams
from slipway.store.folder import FolderStore

from services.trainer.service import train

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
    """A training that patience ended at step 40 of 60, and whose verdict is there."""
    store = FolderStore(tmp_path / "store")
    store.write(keys.resolved("ponds"), PLAN.encode())
    Checkpoints(store, keys.stage("ponds", "train")).publish(40, [], last=True)
    store.write(keys.verdict("ponds"), json.dumps({"best": 20, "last": 40, "stop": True, "final": True}).encode())
    return store


def params(tmp_path, index):
    spec = {"dataset": {"source": "/ponds"}, "train": {"workers": 2}}
    return StageParams(TrainingRun.model_validate({"metadata": {"name": "ponds"}, "spec": spec}), index, tmp_path)


def test_worker_0_of_a_finished_training_needs_no_other_worker_to_write_the_result(store, tmp_path):
    result = train(params(tmp_path, index=0), store)
    assert {name: result[name] for name in ("steps", "best_step", "preset")} == {
        "steps": 40,
        "best_step": 20,
        "preset": "retinanet_resnet10_320",
    }
    assert json.loads(store.read("runs/ponds/train/result.json")) == result


def test_another_worker_of_a_finished_training_leaves_and_writes_nothing(store, tmp_path):
    assert train(params(tmp_path, index=1), store) == {}
    assert store.size("runs/ponds/train/result.json") is None
