"""Training that starts from a checkpoint, with the real model."""

import os
import subprocess
import sys
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

from slipway import keys
from slipway.errors import InputError
from slipway.run.plan import Plan
from slipway.run.presets import load_preset
from slipway.store.folder import FolderStore
from slipway.weights.checkpoint.object_graph import read_modules
from slipway.weights.checkpoint.table import read_table
from slipway.weights.networks import MODULES, network_of
from slipway.weights.sources import fetch_weights
from tests.fakes.harbour import draw
from tests.fakes.initial_weights import config, kernels, write_backbone
from tests.fakes.plans import small_plan
from tests.integration.command import SMALL, slipway

from services.trainer.initial_checkpoint import initialize
from services.trainer.pipeline_config import pipeline_config

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def task():
    from official.core import task_factory

    return task_factory.get_task(config().task)


@pytest.fixture(scope="module")
def model(task):
    return task.build_model()


@pytest.fixture
def trainer(task, model, tmp_path, monkeypatch):
    monkeypatch.setattr(task.task_config, "init_checkpoint", str(tmp_path / "ckpt-1"))
    return trainer_of(task, model)


def trainer_of(task, model):
    """Return as much of a trainer as loads the initial checkpoint."""
    config = SimpleNamespace(task=task.task_config)
    return SimpleNamespace(config=config, model=model, initialize=lambda: task.initialize(model))


def test_model_has_the_weights_it_was_given(trainer, model, tmp_path):
    write_backbone(tmp_path, 0.25)
    counts = initialize(trainer)
    assert counts.restored == {"backbone": len(model.backbone.variables)}
    assert counts.new == {"decoder": len(model.decoder.variables), "head": len(model.head.variables)}
    assert len(found := kernels(model.backbone)) == 13
    assert all((kernel.numpy() == 0.25).all() for kernel in found)


def test_checkpoint_of_something_else_is_refused_with_what_it_holds(trainer, tmp_path):
    import tensorflow as tf

    tf.train.Checkpoint(head=tf.Variable([1.0])).write(str(tmp_path / "ckpt-1"))
    with pytest.raises(InputError, match=r"ckpt-1: it holds \['head'\], expected all of backbone") as refused:
        initialize(trainer)
    assert len(str(refused.value)) < 500


def test_backbone_of_another_width_is_refused(trainer, tmp_path):
    write_backbone(tmp_path, 0.25, depth_multiplier=1.0)
    with pytest.raises(InputError, match=r"holds \['backbone'\], expected all of backbone.*shape"):
        initialize(trainer)


@pytest.mark.parametrize(
    ("num_labels", "restored"), [(3, ["backbone", "decoder", "head"]), (2, ["backbone", "decoder"])]
)
def test_weights_of_a_run_are_restored_but_for_the_head_of_other_classes(finished, tmp_path, num_labels, restored):
    import tensorflow as tf
    from official.core import task_factory

    store = FolderStore(finished.out)
    path = fetch_weights(f"run:{finished.name}", store, tmp_path)
    plan = small_plan(initial_checkpoint_modules=("backbone", "decoder", "head"), anchors=plan_of(finished).anchors)
    task = task_factory.get_task(pipeline_config(plan, num_labels, 8, str(path)).task)
    model = task.build_model()
    counts = initialize(trainer_of(task, model))
    assert sorted(counts.restored) == restored
    saved = tf.train.load_checkpoint(str(path))
    values = [saved.get_tensor(name) for name in saved.get_variable_to_shape_map() if "VARIABLE_VALUE" in name]
    for module in restored:
        for variable in model.checkpoint_items[module].variables:
            assert any(np.array_equal(value, variable) for value in values if value.shape == variable.shape)


def test_reader_of_checkpoints_agrees_with_tensorflow(finished, tmp_path):
    import tensorflow as tf
    from official.core import task_factory

    path = fetch_weights(f"run:{finished.name}", FolderStore(finished.out), tmp_path)
    tensors, _ = read_table(path)
    expected = {name: tuple(shape) for name, shape in tf.train.list_variables(str(path))}
    assert {name: tensor.shape for name, tensor in tensors.items()} == expected
    assert any("optimizer" in name for name in expected)
    modules = read_modules(path)
    model = task_factory.get_task(pipeline_config(plan_of(finished), 2, 8, None).task).build_model()
    shapes = {name: Counter(map(shape_text, model.checkpoint_items[name].variables)) for name in MODULES}
    assert {name: modules[name] for name in MODULES} == shapes
    assert modules["backbone"] == network_of(load_preset("retinanet_resnet10_320")).modules["backbone"]


def plan_of(run):
    """Return the plan of a finished run, whose levels are fitted to its boxes."""
    return Plan.parse(FolderStore(run.out).read(keys.plan(run.name)))


def shape_text(variable):
    return "x".join(map(str, variable.shape))


def test_file_that_is_not_a_checkpoint_is_refused(trainer, tmp_path):
    (tmp_path / "ckpt-1.index").write_text("<html>")
    with pytest.raises(InputError, match="it is not a TensorFlow checkpoint"):
        initialize(trainer)


def test_training_from_spoilt_weights_ends_with_what_its_loss_is(tmp_path):
    """Runs the trainer alone, for an evaluator would do nothing but start; the command shows any stage's reason."""
    draw(tmp_path / "harbour", 12, 3)
    write_backbone(tmp_path, float("nan"))
    words = ["--name", "spoilt", "--steps", 20, "--initial-checkpoint", tmp_path / "ckpt-1", *SMALL]
    made = slipway("run", tmp_path / "harbour", "--out", tmp_path / "out", "--until", "preprocess", *words)
    assert made.returncode == 0, made.stdout + made.stderr
    store = {"SLIPWAY_STORE": str(tmp_path / "out"), "SLIPWAY_RUN": "spoilt"}
    own = {"SLIPWAY_SCRATCH": str(tmp_path), "SLIPWAY_TERMINATION_LOG": str(tmp_path / "reason")}
    command = [sys.executable, "-m", "services.trainer"]
    done = subprocess.run(command, env=os.environ | store | own, capture_output=True, timeout=300, check=False)
    assert done.returncode == 65
    assert (tmp_path / "reason").read_text().startswith("the loss is nan at step")
