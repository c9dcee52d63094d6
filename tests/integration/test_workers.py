"""Two workers that train one model: they share it, stop together, and outlive the loss of one another."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from slipway.run.run_file import begin_run
from slipway.run.spec import TrainingRun
from slipway.store.folder import FolderStore
from tests.fakes.harbour import draw
from tests.ports import free_ports

pytestmark = pytest.mark.slow

STEPS = 60
LOST_SEC = 120  # TensorFlow misses a worker after ten seconds; a busy machine takes longer to save and to leave


class Cluster:
    """The processes of a run, as an Indexed Job would start them."""

    def __init__(self, folder):
        self.folder, self.live = folder, []
        self.store = FolderStore(folder / "store")
        self.run = folder / "store/runs/harbour"

    def start(self, stage, index=0, **variables):
        environment = os.environ | variables
        environment |= {
            "SLIPWAY_STORE": str(self.store.root),
            "SLIPWAY_RUN": "harbour",
            "JOB_COMPLETION_INDEX": str(index),
        }
        environment |= {
            "SLIPWAY_SCRATCH": str(self.folder),
            "SLIPWAY_TERMINATION_LOG": str(self.folder / f"{stage}-{index}"),
        }
        command = [sys.executable, "-m", f"services.{stage}"]
        with (self.folder / f"{stage}-{index}.log").open("ab") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        self.live.append(process)
        return process

    def start_workers(self):
        config = {"cluster": {"worker": [f"127.0.0.1:{port}" for port in free_ports(2)]}}
        return [
            self.start("trainer", index, TF_CONFIG=json.dumps({**config, "task": {"type": "worker", "index": index}}))
            for index in (0, 1)
        ]

    def log(self, index):
        return (self.folder / f"trainer-{index}.log").read_text()

    def reason(self, index):
        return (self.folder / f"trainer-{index}").read_text()

    def checkpoints(self):
        """Return the listed steps, ascending."""
        found = (re.fullmatch(r"ckpt-(\d+)\.json", file.name) for file in (self.run / "train").iterdir())
        return sorted(int(match[1]) for match in found if match)

    def steps(self):
        """Return the steps that the log of worker 0 has, ascending but for restarts."""
        return [int(step) for step in re.findall(r"event=step step=(\d+)", self.log(0))]


def wait_until(seen, process):
    patience = time.monotonic() + 600
    while not seen():
        assert process.poll() is None, "the worker ended before anything was seen"
        assert time.monotonic() < patience, "waited ten minutes in vain"
        time.sleep(0.1)


@pytest.fixture
def cluster(tmp_path):
    draw(tmp_path / "harbour", 24, 3)
    cluster = Cluster(tmp_path)
    train = {"steps": STEPS, "batchSize": 4, "imageSize": 128, "checkpointEvery": STEPS, "workers": 2}
    train["augment"] = {"mosaic": 0.5, "colour": 0.5}
    spec = {"dataset": {"source": str(tmp_path / "harbour")}, "preprocess": {"workers": 1}, "train": train}
    begin_run(TrainingRun.model_validate({"metadata": {"name": "harbour"}, "spec": spec}), cluster.store)
    for stage in ("ingest", "preprocess"):
        assert cluster.start(stage).wait(60) == 0
    yield cluster
    for process in cluster.live:
        process.kill()
        process.wait()


@pytest.mark.filterwarnings("ignore")  # what TensorFlow says as it is imported
def test_workers_share_a_training_stop_together_and_outlive_a_loss(cluster):
    stopped = cluster.start_workers()
    wait_until(cluster.steps, stopped[0])
    stopped[1].send_signal(signal.SIGTERM)
    assert [worker.wait(LOST_SEC) for worker in stopped] == [75, 75]
    saved = cluster.steps()[-1]
    assert cluster.checkpoints() == [saved]  # not a step is lost
    assert all(f"stopped at step {saved} of {STEPS}, which is saved" in cluster.reason(index) for index in (0, 1))

    bereft = cluster.start_workers()
    wait_until(lambda: cluster.steps()[-1] > saved, bereft[0])
    bereft[1].kill()
    assert bereft[0].wait(LOST_SEC) == 75
    assert "worker 0 of 2 lost another" in cluster.reason(0)
    assert cluster.checkpoints() == [saved]

    workers = cluster.start_workers()
    evaluator, idle = (cluster.start("evaluator", index) for index in (0, 1))
    assert [worker.wait(600) for worker in reversed(workers)] == [0, 0]
    assert all(cluster.log(index).count(f"event=training_resumed step={saved}\n") for index in (0, 1))
    assert evaluator.wait(LOST_SEC) == 0
    assert idle.poll() is None
    idle.terminate()
    assert idle.wait(LOST_SEC) == 75
    check_what_is_left(cluster)


def check_what_is_left(cluster):
    """See that worker 0 alone wrote, and that the last checkpoint is what it says."""
    import tensorflow as tf

    assert json.loads((cluster.run / "train/result.json").read_text())["steps"] == STEPS
    assert cluster.checkpoints()[-1] == STEPS
    steps = [json.loads(line)["step"] for line in (cluster.run / "train/progress.jsonl").read_text().splitlines()]
    assert steps == sorted(set(steps))
    assert steps[-1] == STEPS
    reader = tf.train.load_checkpoint(str(cluster.run / f"train/ckpt-{STEPS}"))
    assert reader.get_tensor("global_step/.ATTRIBUTES/VARIABLE_VALUE") == STEPS
    assert "event=step" not in cluster.log(1)
    assert "event=checkpoint_saved" not in cluster.log(1)
