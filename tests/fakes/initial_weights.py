"""Checkpoints that a training can start from."""

from pathlib import Path
from typing import Any

import numpy as np

from tests.fakes.plans import small_plan

from services.trainer.pipeline_config import pipeline_config


def config() -> Any:
    """Return the pipeline config of the smallest preset, for images of 128 pixels."""
    return pipeline_config(small_plan(), 3, 8, None)


def write_backbone(folder: Path, value: float, depth_multiplier: float = 0.5) -> None:
    """Write `ckpt-1`, a backbone whose kernels have this value everywhere."""
    import tensorflow as tf
    from official.core import task_factory

    task = config().task
    task.model.backbone.resnet.depth_multiplier = depth_multiplier
    backbone = task_factory.get_task(task).build_model().backbone
    for kernel in kernels(backbone):
        kernel.assign(np.full(kernel.shape, value))
    tf.train.Checkpoint(backbone=backbone).write(str(folder / "ckpt-1"))


def kernels(backbone: Any) -> list[Any]:
    """Return the weights of the backbone's convolutions."""
    return [weight for weight in backbone.trainable_variables if "kernel" in weight.name]
