"""Training that starts from a checkpoint, with the real model."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from slipway.errors import InputError
from tests.fakes.harbour import draw
from tests.fakes.initial_weights import config, kernels, write_backbone
from tests.integration.command import SMALL, slipway

from services.trainer.initial_checkpoint import initialize

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
    return SimpleNamespace(config=SimpleNamespace(task=task.task_config), initialize=lambda: task.initialize(model))


def test_model_has_the_weights_it_was_given(trainer, model, tmp_path):
    write_backbone(tmp_path, 0.25)
    initialize(trainer)
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
