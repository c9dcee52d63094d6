"""Utilization and memory of the GPUs, read from `nvidia-smi`, which NVIDIA's runtime adds to containers with a GPU."""

import logging
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from slipway.events import event
from slipway.metrics.registry import STAGE, StageGauge
from slipway.metrics.stage_gauges import GPU_BUSY, GPU_TOTAL, GPU_USED

_EVERY_SEC = 10.0
_TIMEOUT_SEC = 5.0
_COLUMNS: dict[str, tuple[StageGauge, float]] = {
    "utilization.gpu": (GPU_BUSY, 0.01),
    "memory.used": (GPU_USED, 1 << 20),
    "memory.total": (GPU_TOTAL, 1 << 20),
}


def watch_gpus(worker: int) -> None:
    """Read the GPUs whenever a snapshot is taken; export nothing where `nvidia-smi` does not exist."""
    program = shutil.which("nvidia-smi")
    if program:
        STAGE.register(_Gpus(program, worker))


class _Gpus(Collector):
    """Sets the gauges whenever it is collected; it yields no metrics, since the registry has the gauges themselves."""

    def __init__(self, program: str, worker: int) -> None:
        self._program, self._worker = program, worker
        self._read_at = float("-inf")

    def describe(self) -> Iterator[Metric]:
        return iter(())

    def collect(self) -> Iterator[Metric]:
        if time.monotonic() - self._read_at >= _EVERY_SEC:
            self._read_at = time.monotonic()
            for row in self._rows():
                self._set(row)
        return iter(())

    def _rows(self) -> list[list[str]]:
        query = f"--query-gpu=index,{','.join(_COLUMNS)}"
        try:
            done = subprocess.run(  # noqa: S603 (the first of its name on PATH, without arguments from a user)
                [self._program, query, "--format=csv,noheader,nounits"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_TIMEOUT_SEC,
                check=True,
            )
        except (OSError, subprocess.SubprocessError) as error:
            event("gpus_unknown", logging.DEBUG, reason=str(error))
            return []
        return [[cell.strip() for cell in line.split(",")] for line in done.stdout.splitlines()]

    def _set(self, row: list[str]) -> None:
        number, *values = row
        for value, (gauge, unit) in zip(values, _COLUMNS.values(), strict=False):
            with suppress(ValueError):  # "[N/A]", where a GPU is shared
                gauge.set(float(value) * unit, gpu=f"{self._worker}.{number}")
