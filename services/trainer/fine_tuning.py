"""How a pretrained backbone is trained: which of its layers, and how fast."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slipway.errors import SpecError

if TYPE_CHECKING:
    import tensorflow as tf
    from tf_keras import Model

_UPDATES = ("update_step", "_resource_apply_dense")  # methods that change one variable, of new and of legacy optimizers


@dataclass(frozen=True)
class FineTuning:
    """What a preset says about its pretrained backbone.

    Attributes:
      frozen_blocks: Number of the first blocks that keep their weights; None if every layer is trained.
      learning_rate_ratio: Learning rate of the backbone, as a ratio of that of the new layers.
    """

    frozen_blocks: int | None = None
    learning_rate_ratio: float = 1.0

    def apply(self, backbone: "Model", optimizer: Any) -> None:
        """Freeze layers of the backbone, and slow the others down.

        Raises:
          SpecError: The backbone has fewer blocks.
        """
        if self.frozen_blocks is not None:
            freeze_blocks(backbone, self.frozen_blocks)
        if self.learning_rate_ratio != 1.0:
            scale_learning_rate(optimizer, backbone.trainable_variables, self.learning_rate_ratio)


def freeze_blocks(backbone: "Model", frozen_blocks: int) -> None:
    """Train the backbone's last blocks only.

    A block is a layer that consists of layers, such as an inverted bottleneck. The first blocks keep what edges and
    textures look like, and have most of the pixels: without their gradients, a step takes half the time. Of the other
    blocks, the pointwise convolutions are trained. Batch normalization keeps its moving averages, since batches are too
    small to measure new ones. Depthwise convolutions keep their filters: these have 6 % of the weights, their
    gradients take a sixth of a step, and AP was the same without them.

    Args:
      backbone: A model of Model Garden, with its blocks in the order of their computation.
      frozen_blocks: Number of the first blocks that keep their weights, with all layers that are not in a block.

    Raises:
      SpecError: The backbone has fewer blocks.
    """
    import tf_keras

    blocks = [
        layer for layer in backbone.layers if any(isinstance(part, tf_keras.layers.Layer) for part in layer.submodules)
    ]
    if frozen_blocks > len(blocks):
        raise SpecError(f"frozen_blocks is {frozen_blocks}, and the preset's backbone has {len(blocks)} blocks")
    trained_blocks = blocks[frozen_blocks:]
    for layer in backbone.layers:
        layer.trainable = any(layer is block for block in trained_blocks)
    for block in trained_blocks:
        for part in block.submodules:
            if isinstance(part, (tf_keras.layers.BatchNormalization, tf_keras.layers.DepthwiseConv2D)):
                part.trainable = False


def scale_learning_rate(optimizer: Any, variables: Sequence["tf.Variable"], ratio: float) -> None:
    """Make the optimizer change some variables by a share of what it would change them by.

    That equals a learning rate of their own for any optimizer. Scaled gradients would not: Adam divides each of them
    by its own magnitude.
    """
    scaled_variables = {variable.ref() for variable in variables}
    name = next(name for name in _UPDATES if hasattr(optimizer, name))
    update = getattr(optimizer, name)

    def scaled_update(gradient: "tf.Tensor", variable: "tf.Variable", *arguments: Any, **options: Any) -> Any:
        if variable.ref() not in scaled_variables:
            return update(gradient, variable, *arguments, **options)
        old_value = variable.read_value()
        update(gradient, variable, *arguments, **options)
        return variable.assign(old_value + ratio * (variable - old_value))

    setattr(optimizer, name, scaled_update)
