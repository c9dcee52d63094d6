"""GPU memory as TensorFlow reports it, where there is no `nvidia-smi`."""

import shutil
from typing import Any

from slipway.metrics.stage_gauges import GPU_USED


def record_gpu_memory(config: Any) -> None:
    """Set the memory gauge of each GPU of worker 0, unless `slipway.metrics.gpus` sets it from `nvidia-smi`.

    Args:
      config: `tf.config`.
    """
    if shutil.which("nvidia-smi"):
        return
    for number in range(len(config.list_logical_devices("GPU"))):
        memory = config.experimental.get_memory_info(f"GPU:{number}")
        GPU_USED.set(memory["current"], gpu=f"0.{number}")
