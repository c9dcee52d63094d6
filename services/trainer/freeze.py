"""The layers of a pretrained backbone that are trained."""

from typing import TYPE_CHECKING

from slipway.errors import SpecError

if TYPE_CHECKING:
    from tf_keras import Model


def freeze_blocks(backbone: "Model", frozen_blocks: int) -> None:
    """Train the backbone's last blocks only.

    A block is a layer that consists of layers, such as an inverted bottleneck. The first blocks keep what edges and
    textures look like, and have most of the pixels: without their gradients, a step takes half the time. Batch
    normalization keeps its moving averages in every block, since batches are too small to measure new ones.

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
            if isinstance(part, tf_keras.layers.BatchNormalization):
                part.trainable = False
