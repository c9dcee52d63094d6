"""How much memory of the GPUs TensorFlow uses, where there is no `nvidia-smi` to ask."""

import shutil
from typing import Any

from slipway.metrics.registry import GPU_USED


def tell_memory(config: Any) -> None:
    """Set the gauge of each GPU of worker 0; nothing is told where there is none.

    Args:
      config: `tf.config`.
    """
    if shutil.which("nvidia-smi"):  # the shell asks it
        return
    for number in range(len(config.list_logical_devices("GPU"))):
        GPU_USED.set(config.experimental.get_memory_info(f"GPU:{number}")["current"], gpu=f"0.{number}")
