"""The shapes of the presets' variables, compared with the models that TensorFlow builds."""

import numpy as np
import pytest

from tests.fakes.plans import small_plan
from tests.networks import FILE, networks, text

from services.trainer.pipeline_config import pipeline_config

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def test_shapes_are_those_of_the_models():
    assert FILE.read_text() == text(networks()), "run make networks"


def test_mobile_spinenet_trains_a_step_from_scratch():
    import tf_keras
    from official.core import task_factory

    plan = small_plan(preset="retinanet_spinenet49mobile_384", image_size=256, batch_size=2)
    task = task_factory.get_task(pipeline_config(plan, 3, 8, None).task)
    model = task.build_model()
    images = np.random.default_rng(0).normal(size=(2, 256, 256, 3)).astype(np.float32)
    boxes = {level: np.ones(v.shape, np.float32) for level, v in model(images, training=False)["box_outputs"].items()}
    classes = {level: np.ones((*box.shape[:3], box.shape[3] // 4), np.int32) for level, box in boxes.items()}
    weights = np.ones((2, sum(value[0].size for value in classes.values())), np.float32)
    targets = {"cls_targets": classes, "box_targets": boxes, "cls_weights": weights, "box_weights": weights}
    before = [variable.numpy() for variable in model.trainable_variables]
    logs = task.train_step((images, targets), model, tf_keras.optimizers.SGD(0.01))
    assert np.isfinite(float(logs["loss"]))
    changes = [not np.array_equal(b, v) for b, v in zip(before, model.trainable_variables, strict=True)]
    assert sum(changes) > 0.5 * len(changes)  # stochastic depth leaves some blocks out of each step
