"""ImageNet's weights from a package, in the real model."""

import re
from dataclasses import replace
from operator import attrgetter

import numpy as np
import pytest

from slipway import keys
from slipway.errors import SpecError
from slipway.run.packaged_weights import PACKAGED_WEIGHTS
from slipway.run.presets import load_preset
from slipway.store.folder import FolderStore
from slipway.store.interface import list_keys
from tests.fakes.plans import small_plan

from services.trainer import initial_checkpoint
from services.trainer.fine_tuning import freeze_blocks, scale_learning_rate
from services.trainer.initial_checkpoint import fetch_initial_checkpoint
from services.trainer.pipeline_config import pipeline_config
from services.trainer.pretrained.efficientnet_lite0 import assign, build_backbone, variable_sources
from services.trainer.pretrained.package import read_package

# Model Garden's model warns that the decoder does not use the backbone's last features.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

NAME = "imagenet-efficientnet-lite0"
MEAN, DEVIATION = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])  # of Model Garden's records


@pytest.fixture(scope="module")
def tensors():
    return read_package(PACKAGED_WEIGHTS[NAME])


@pytest.fixture(scope="module")
def backbone(tensors):
    backbone = build_backbone()
    assign(backbone, tensors)
    return backbone


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return FolderStore(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def weights(store, tmp_path_factory):
    """The local path of the converted checkpoint."""
    plan = small_plan(initial_checkpoint=NAME)
    return fetch_initial_checkpoint(plan, store, tmp_path_factory.mktemp("scratch")).path


@pytest.fixture(scope="module")
def task(weights):
    from official.core import task_factory

    plan = small_plan(preset="retinanet_efficientnet_lite0_256")
    return task_factory.get_task(pipeline_config(plan, 3, 8, weights).task)


@pytest.fixture(scope="module")
def model(task):
    model = task.build_model()
    task.initialize(model)
    return model


def draw():
    """Return one RGB image [1, 96, 128, 3] of 0 to 255: a disc on a gradient."""
    y, x = np.mgrid[0:96, 0:128]
    image = np.stack([2 * x, 2 * y, 255 - x - y], axis=-1).astype(np.float32)
    image[(x - 70) ** 2 + (y - 40) ** 2 < 900] = (230, 120, 20)
    return image[None]


def lite0(tensors, image):
    """Compute EfficientNet-Lite0's features from the tensors alone, for an image of 0 to 255.

    The first convolution gets Model Garden's mean colour outside of the image, as the converted one does.
    """
    import tensorflow as tf

    def norm(x, name):
        scale = tensors[f"{name}.weight"] / np.sqrt(tensors[f"{name}.running_var"] + 0.001)
        return (x - tensors[f"{name}.running_mean"]) * scale + tensors[f"{name}.bias"]

    def convolve(x, name, stride=1, padding="SAME"):
        kernel = np.moveaxis(tensors[f"{name}.weight"], (0, 1), (3, 2))
        if "depthwise" in name:
            return tf.nn.depthwise_conv2d(x, np.swapaxes(kernel, 2, 3), [1, stride, stride, 1], padding)
        return tf.nn.conv2d(x, kernel, stride, padding)

    padded = np.tile(MEAN.astype(np.float32), (1, image.shape[1] + 1, image.shape[2] + 1, 1))
    padded[:, :-1, :-1] = image
    x = tf.nn.relu6(norm(convolve((padded - 127) / 128, "_conv_stem", 2, "VALID"), "_bn0"))
    for index in range(16):
        block, stride, before = f"_blocks.{index}", 2 if index in (1, 3, 5, 11) else 1, x
        if f"{block}._expand_conv.weight" in tensors:
            x = tf.nn.relu6(norm(convolve(x, f"{block}._expand_conv"), f"{block}._bn0"))
        x = tf.nn.relu6(norm(convolve(x, f"{block}._depthwise_conv", stride), f"{block}._bn1"))
        x = norm(convolve(x, f"{block}._project_conv"), f"{block}._bn2")
        x = x + before if x.shape == before.shape else x
    return tf.nn.relu6(norm(convolve(x, "_conv_head"), "_bn1")).numpy()


def test_every_variable_of_the_backbone_gets_its_own_tensor(backbone, tensors):
    variables, sources, _ = zip(*variable_sources(backbone), strict=True)
    assert sorted(map(id, variables)) == sorted(map(id, backbone.variables))
    assert len(set(sources)) == len(sources) == 245
    assert {name for name in tensors if not re.search("_fc|num_batches", name)} == set(sources)


def test_converted_backbone_computes_what_the_weights_own_network_does(backbone, tensors):
    image = draw()
    features = backbone(((image - MEAN) / DEVIATION).astype(np.float32), training=False)["6"].numpy()
    expected = lite0(tensors, image)
    assert features.shape == (1, 3, 4, 1280)
    assert expected.std() == pytest.approx(0.7818, abs=1e-3)  # recorded: the comparison is not one of zeros
    np.testing.assert_allclose(features, expected, atol=2e-4)


def test_converted_weights_are_kept_in_the_store_and_taken_from_there(store, weights, tmp_path, monkeypatch):
    names = {key.rpartition("/")[2] for key in list_keys(store, keys.initial_checkpoint("").rstrip("/"))}
    assert names == {"ckpt-1.index", "ckpt-1.data-00000-of-00001"}
    monkeypatch.setattr(initial_checkpoint, "convert_package", None)  # calling it would fail
    plan = small_plan(initial_checkpoint=NAME)
    assert fetch_initial_checkpoint(plan, store, tmp_path).path == str(tmp_path / "initial" / "ckpt-1")


def test_model_of_the_preset_has_the_converted_weights(model, backbone):
    expected = {source: variable for variable, source, _ in variable_sources(backbone)}
    for variable, source, _ in variable_sources(model.backbone):
        np.testing.assert_array_equal(variable, expected[source])


def test_step_leaves_a_frozen_backbone_and_its_moving_averages_as_they_were(task):
    import tf_keras

    task = type(task)(task.task_config.replace(freeze_backbone=True))
    model = task.build_model()
    task.initialize(model)
    backbone_ids = set(map(id, model.backbone.variables))
    assert not backbone_ids & set(map(id, model.trainable_variables))
    before = {id(variable): variable.numpy() for variable in model.variables}
    images = np.repeat(((draw()[:, :, :96] - MEAN) / DEVIATION), 4, axis=0).astype(np.float32)
    images = np.pad(images, ((0, 0), (0, 32), (0, 32), (0, 0)))
    task.train_step((images, targets(model, images)), model, tf_keras.optimizers.SGD(0.1))
    changed = {id(variable) for variable in model.variables if not np.array_equal(before[id(variable)], variable)}
    assert not changed & backbone_ids
    assert {id(variable) for variable in model.decoder.variables if "moving_mean" in variable.name} <= changed
    assert changed - backbone_ids


def test_step_trains_only_the_blocks_behind_the_frozen_ones(weights, task):
    import tf_keras

    model = task.build_model()
    freeze_blocks(model.backbone, 5)
    task.initialize(model)
    before = {id(variable): variable.numpy() for variable in model.backbone.variables}
    images = np.repeat(np.pad((draw()[:, :, :96] - MEAN) / DEVIATION, ((0, 0), (0, 32), (0, 32), (0, 0))), 4, axis=0)
    task.train_step((images.astype(np.float32), targets(model, images)), model, tf_keras.optimizers.SGD(0.1))
    changed = {
        variable.name.split("/")[0].removeprefix("inverted_bottleneck_block")
        for variable in model.backbone.variables
        if not np.array_equal(before[id(variable)], variable)
    }
    numbers = [int(name.removeprefix("_") or 0) for name in changed]
    assert max(numbers) - min(numbers) == 10  # 16 blocks without the first five
    assert len(numbers) == 11
    assert not [variable.name for variable in model.backbone.trainable_variables if "batch_norm" in variable.name]


def test_more_frozen_blocks_than_there_are_is_one_message(backbone):
    with pytest.raises(SpecError, match="frozen_blocks is 17, and the preset's backbone has 16 blocks"):
        freeze_blocks(backbone, 17)


@pytest.mark.parametrize(
    "name", ["optimizers.Adam", "optimizers.SGD", "optimizers.legacy.Adam", "optimizers.legacy.SGD"]
)
def test_scaled_variables_change_by_a_share_of_what_others_change_by(name):
    import tensorflow as tf
    import tf_keras

    optimizer = attrgetter(name)(tf_keras)(0.1)
    slow, fast = tf.Variable([1.0, -2.0]), tf.Variable([1.0, -2.0])
    scale_learning_rate(optimizer, [slow], 0.25)

    @tf.function
    def step(gradient):
        optimizer.apply_gradients([(gradient, slow), (gradient, fast)])

    for gradient in ([0.5, -3.0], [0.25, 1.0]):
        step(tf.constant(gradient))
    changes = [variable.numpy() - [1.0, -2.0] for variable in (slow, fast)]
    assert np.abs(changes[1]).min() > 0.01
    np.testing.assert_allclose(changes[0], 0.25 * changes[1], rtol=1e-5)


def targets(model, images):
    """Return the targets of images whose every anchor is a box of class 1."""
    outputs = model(images, training=False)
    boxes = {level: np.ones(value.shape, np.float32) for level, value in outputs["box_outputs"].items()}
    classes = {level: np.ones((*value.shape[:3], value.shape[3] // 4), np.int32) for level, value in boxes.items()}
    weights = np.ones((len(images), sum(value[0].size for value in classes.values())), np.float32)
    return {"cls_targets": classes, "box_targets": boxes, "cls_weights": weights, "box_weights": weights}


def test_training_from_scratch_freezes_nothing():
    plan = small_plan(preset="retinanet_efficientnet_lite0_256")
    preset = replace(load_preset(plan.preset), freeze_backbone=True)
    assert not pipeline_config(plan, 3, 8, None, preset).task.freeze_backbone
    assert pipeline_config(plan, 3, 8, "/weights/ckpt-1", preset).task.freeze_backbone
    assert not pipeline_config(small_plan(), 3, 8, "/weights/ckpt-1").task.freeze_backbone
