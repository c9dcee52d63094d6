"""A sweep in an installation, against the API itself: its runs advance as they are read."""

import json
from collections import Counter

import pytest

from slipway import keys
from slipway.artifacts.dataset import DatasetManifest, ManifestSplit
from slipway.artifacts.evaluation import BestCheckpoint, MeasuredRow
from slipway.artifacts.json_io import read_document, write_document, write_lines
from slipway.artifacts.sweep import Sweep
from slipway.store.folder import FolderStore
from tests.fakes.runs import FakeRuns
from tests.unit.cli.conftest import SHA, slipway

from services.cli.sweep import cluster_sweep

pytestmark = pytest.mark.usefixtures("logged_in")

STAGES = {
    "ingest": {
        "phase": "done",
        "attempt": 1,
        "startedAt": "2026-01-31T12:00:00Z",
        "finishedAt": "2026-01-31T12:00:05Z",
    },
    "train": {"phase": "done", "attempt": 1, "startedAt": "2026-01-31T12:00:10Z", "finishedAt": "2026-01-31T12:01:05Z"},
}


class TrainingRuns(FakeRuns):
    """Runs whose n-th of five evaluations has an AP of n times the learning rate; half of it on test.

    Attributes:
      most_running: The largest number of runs that were under way at the same time.
      failing: Learning rate of a run that fails.
      is_sudden: Whether the last evaluations are there as soon as the third was read.
    """

    def __init__(self, store):
        super().__init__()
        self._store, self.most_running, self.failing = store, 0, None
        self._reads, self.is_sudden = Counter(), False

    def create(self, manifest):
        run = super().create(manifest)
        self.report(run["metadata"]["name"], state="RUNNING", stage="train")
        self.most_running = max(self.most_running, len(self.names("RUNNING")))
        return run

    def get(self, name):
        if name in self.names("RUNNING"):
            self._advance(name, self.objects[name]["spec"]["train"]["learningRate"])
        return super().get(name)

    def patch(self, name, spec, version):
        run = super().patch(name, spec, version)
        return self.report(name, state="CANCELED", settled=1) if spec.get("cancel") else run

    def names(self, state):
        return [name for name, run in self.objects.items() if run.get("status", {}).get("state") == state]

    def _advance(self, name, rate):
        if rate == self.failing:
            self.report(name, state="FAILED", settled=1, reason="ingest: no such bucket", stages=STAGES)
            return
        self._reads[name] += 1  # every third is an evaluation: the command reads a run twice before it cancels it
        count = 5 if self.is_sudden and self._reads[name] > 9 else self._reads[name] // 3
        aps = [round(number * rate, 6) for number in range(1, count + 1)]
        rows = [{"step": 10 * n, "split": "val", "AP": ap, "AP50": ap} for n, ap in enumerate(aps, start=1)]
        write_lines(self._store, keys.metrics(name), [MeasuredRow.model_validate(row) for row in rows])
        if len(aps) == 5:
            metrics = {"AP": aps[-1] / 2, "AP50": aps[-1]}
            best = {"step": 50, "split": "test", "chosen_on": "val", "images": 40, "metrics": metrics}
            write_document(self._store, keys.best(name), BestCheckpoint.model_validate(best))
            self.report(name, state="SUCCEEDED", settled=1, stages=STAGES)


@pytest.fixture
def cluster(store, monkeypatch):
    monkeypatch.setattr(cluster_sweep, "_POLL_SEC", 0.0)
    return TrainingRuns(store)


@pytest.fixture
def run_file(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text(
        "apiVersion: slipway.dev/v1alpha1\nkind: TrainingRun\nmetadata: {name: ponds}\n"
        "spec:\n  dataset: {source: 's3://photos/ponds'}\n  train: {steps: 50}\n"
    )
    return file


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def stored_sweep(out):
    (file,) = (out / "sweeps").glob("*/sweep.json")
    return read_document(FolderStore(out), keys.sweep(file.parent.name), Sweep)


def test_runs_are_submitted_a_few_at_a_time_and_the_worst_is_canceled(run_file, out, cluster, capsys):
    command = ("sweep", "-f", run_file, "--submit", "--try", "learning_rate=0.1,0.12,0.02,0.08", "--out", out)
    assert slipway(*command) == 0
    lines = capsys.readouterr().out.splitlines()
    sweep = stored_sweep(out)
    assert [(run.values["learning_rate"], run.state) for run in sweep.runs] == [
        (0.1, "done"),
        (0.12, "done"),
        (0.02, "pruned"),
        (0.08, "pruned"),
    ]
    assert cluster.most_running == 2
    assert cluster.names("CANCELED") == [sweep.runs[2].run, sweep.runs[3].run]
    assert all(run["spec"]["ingest"]["valRatio"] == 0.15 for run in cluster.objects.values())
    assert sweep.runs[0].duration_sec == 65.0
    best = sweep.runs[1].run
    reason = "AP 0.060 at evaluation 3, clearly below the median 0.330 of 2 other runs"
    assert f"{sweep.runs[2].run}: pruned: {reason}" in lines
    assert lines[-2:] == [
        f"chosen on val: learning rate 0.12, run {best}",
        "AP50 0.600, AP 0.300 on 40 test images, which took no part in the choice: the figures to trust",
    ]
    assert slipway(*command, "--json") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["winner"]["run"] == best
    assert len(cluster.objects) == 4


def test_a_run_that_fails_is_named_and_its_code_is_the_sweeps(run_file, out, cluster, capsys):
    cluster.failing = 0.12
    command = ("sweep", "-f", run_file, "--submit", "--parallel", 1, "--try", "learning_rate=0.12,0.1", "--out", out)
    assert slipway(*command) == 65
    failed, best = stored_sweep(out).runs
    lines = capsys.readouterr().out.splitlines()
    assert f"{failed.run} failed: ingest: no such bucket" in lines
    assert lines[-2] == f"chosen on val: learning rate 0.1, run {best.run}"


def test_a_run_that_ends_before_it_can_be_canceled_is_done(run_file, out, cluster):
    cluster.is_sudden = True
    command = (
        "sweep",
        "-f",
        run_file,
        "--submit",
        "--parallel",
        1,
        "--try",
        "learning_rate=0.1,0.12,0.02",
        "--out",
        out,
    )
    assert slipway(*command) == 0
    assert [run.state for run in stored_sweep(out).runs] == ["done", "done", "done"]


def dataset(store, *splits):
    counts = {split: ManifestSplit(images=8, boxes=9, per_class={"duck": 9}, shards=1) for split in splits}
    manifest = DatasetManifest(name="ponds", sha256=SHA, labels=("duck",), splits=counts, median_size=(64, 48))
    write_document(store, keys.manifest(keys.dataset("ponds", SHA)), manifest)


def test_an_ingested_dataset_needs_a_val_split(run_file, out, cluster, store, capsys):
    run_file.write_text(run_file.read_text().replace("source: 's3://photos/ponds'", f"ref: ponds@{SHA}"))
    dataset(store, "train", "test")
    command = ("sweep", "-f", run_file, "--submit", "--try", "learning_rate=0.1,0.12", "--out", out)
    assert slipway(*command) == 65
    assert f"dataset ponds@{SHA} has no val split" in capsys.readouterr().err
    assert cluster.objects == {}
    dataset(store, "train", "val", "test")
    assert slipway(*command) == 0
    assert all("valRatio" not in run["spec"].get("ingest", {}) for run in cluster.objects.values())


def test_a_folder_of_this_machine_is_refused(run_file, out, source, capsys):
    assert slipway("sweep", source, "--submit", "--try", "learning_rate=0.1,0.12", "--out", out) == 65
    assert "--submit needs a run file (-f run.yaml)" in capsys.readouterr().err
    run_file.write_text(run_file.read_text().replace("s3://photos/ponds", str(source)))
    assert slipway("sweep", "-f", run_file, "--submit", "--try", "learning_rate=0.1,0.12", "--out", out) == 65
    assert "slipway dataset push" in capsys.readouterr().err
