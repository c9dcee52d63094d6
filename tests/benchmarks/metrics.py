"""A benchmark of the cost of a training's metrics: `python -m tests.benchmarks.metrics --steps 200`.

Trains for real in this process, on drawn images and into a folder, and prints the processor time that was spent in code
of metrics as a share of all that the trainer used: setting gauges, counting the store's operations, writing snapshots,
and what the input's clock adds to each step. The evaluator's verdict is written beforehand, so nothing waits for it.
"""

import argparse
import functools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from prometheus_client import Counter as PrometheusCounter
from prometheus_client import Histogram

from slipway import keys
from slipway.metrics.registry import StageGauge
from slipway.stage.metric_snapshots import SnapshotSaver
from slipway.stage.runner import leave, run_stage
from slipway.store.folder import FolderStore
from tests.fakes.harbour import draw

_MEASURED: list[tuple[Any, str]] = [
    (StageGauge, "set"),
    (StageGauge, "add"),
    (SnapshotSaver, "save"),
    (Histogram, "observe"),
    (PrometheusCounter, "inc"),
    (Histogram, "labels"),
]
_LOOPS = 20_000

spent: Counter[str] = Counter()


def timed(owner: Any, name: str) -> None:
    """Add up the processor time of the function's calls; nested calls count once."""
    call, is_inside = getattr(owner, name), []

    @functools.wraps(call)
    def wrapper(*arguments: Any, **named: Any) -> Any:
        started = time.thread_time()
        is_inside.append(1)
        try:
            return call(*arguments, **named)
        finally:
            is_inside.pop()
            if not is_inside:
                spent[f"{owner.__name__}.{name}"] += time.thread_time() - started

    setattr(owner, name, wrapper)


def prepare(folder: Path, steps: int) -> FolderStore:
    """Write records of drawn images, and a verdict as if the last checkpoint had been measured."""
    draw(folder / "harbour", 100, seed=1)
    command = [sys.executable, "-m", "services.cli", "run", str(folder / "harbour"), "--out", str(folder / "out")]
    options = ["--until", "preprocess", "--steps", str(steps), "--image-size", "128", "--batch-size", "8"]
    subprocess.run([*command, *options], check=True, stdout=sys.stderr)
    store = FolderStore(folder / "out")
    (run,) = (folder / "out/runs").iterdir()
    verdict = {"best": steps, "last": steps, "stop": False, "final": True}
    store.write(keys.verdict(run.name), json.dumps(verdict).encode())
    os.environ |= {"SLIPWAY_STORE": store.url, "SLIPWAY_RUN": run.name, "SLIPWAY_SCRATCH": str(folder)}
    return store


def clock_sec() -> float:
    """Return the time that the input's clock adds to a step, measured on a graph that does nothing else."""
    import tensorflow as tf

    from services.trainer.input_wait import InputWait

    class Loop:
        global_step = tf.Variable(0, dtype=tf.int64)

        def next_train_inputs(self, iterator: Any) -> Any:
            return next(iterator)

    def seconds(is_timed: bool) -> float:
        loop = Loop()
        wait = InputWait(loop) if is_timed else None

        @tf.function
        def run(iterator: Any) -> None:
            for _ in tf.range(_LOOPS):
                loop.next_train_inputs(iterator)
                loop.global_step.assign_add(1)

        batches = iter(tf.data.Dataset.range(3 * _LOOPS))
        run(batches)  # which also traces it
        started = time.process_time()
        run(batches)
        del wait
        return time.process_time() - started

    return max(0.0, seconds(True) - seconds(False)) / _LOOPS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.metrics")
    parser.add_argument("--steps", type=int, default=200)
    asked = parser.parse_args()
    from services.trainer.service import train

    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder), asked.steps)
        for owner, name in _MEASURED:
            timed(owner, name)
        started = time.process_time()
        code = run_stage("train", train, graceful=True)
        total = time.process_time() - started
        spent["the input's clock"] = asked.steps * clock_sec()
    for name, seconds in spent.most_common():
        print(f"{name}: {seconds:.4f} s")
    print(f"{sum(spent.values()):.3f} s of {total:.1f} s of processor time: {sum(spent.values()) / total:.3%}")
    return code


if __name__ == "__main__":
    leave(main())
