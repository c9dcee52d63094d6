"""The command as a user types it: real processes, real training of a few steps, real faults."""

import contextlib
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.harbour import draw

from services.evaluator.coco import NAMES

pytestmark = pytest.mark.slow

SMALL = ("--image-size", "128", "--batch-size", "4")


def slipway(*words, **options):
    command = [sys.executable, "-m", "services.cli", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, **options)


def digests(folder):
    files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def lines(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


@pytest.fixture(scope="session")
def harbour(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "harbour"
    draw(folder, 40, 3)
    return folder


@pytest.fixture(scope="session")
def finished(harbour, tmp_path_factory):
    """One whole run: the process's output, the folder of its outputs, that of the run, and the source before it."""
    out, before = tmp_path_factory.mktemp("out"), digests(harbour)
    done = slipway("run", harbour, "--out", out, "--steps", 60, "--checkpoint-every", 20, "--test-ratio", 0.25, *SMALL)
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = (out / "runs").iterdir()
    return done, out, run, before


@pytest.mark.xdist_group("finished")
def test_one_command_leaves_every_artifact(finished):
    _, _, run, _ = finished
    expected = {
        "run.json",
        "report.html",
        "ingest/resolved.yaml",
        "train/pipeline.yaml",
        "train/progress.jsonl",
        "evaluate/best.json",
        "evaluate/curves.json",
        "export/saved_model/saved_model.pb",
        "export/label_map.pbtxt",
        "export/model_card.md",
        "export/manifest.json",
        "detect/detections.json",
    }
    assert {name for name in expected if not (run / name).is_file()} == set()
    for stage in ("train", "evaluate"):
        assert list((run / stage).glob("events.out.tfevents.*"))
    (events,) = (run / "evaluate").glob("events.out.tfevents.*")
    assert all(f"truth_and_detections/{number}".encode() in events.read_bytes() for number in range(3))
    assert len(list((run / "detect").rglob("*.jpg"))) == 10


@pytest.mark.xdist_group("finished")
def test_last_lines_name_the_ap50_and_the_report(finished):
    done, _, run, _ = finished
    ap50 = json.loads((run / "evaluate/best.json").read_text())["metrics"]["AP50"]
    last = "\n".join(done.stdout.splitlines()[-4:])
    assert f"AP50 {ap50:.3f}" in last or f"AP50 {ap50:.2f}" in last
    assert str(run / "report.html") in done.stdout


@pytest.mark.xdist_group("finished")
def test_users_files_are_not_touched(finished, harbour):
    assert digests(harbour) == finished[3]


@pytest.mark.xdist_group("finished")
def test_each_checkpoint_is_measured_and_the_loss_falls(finished):
    _, _, run, _ = finished
    rows = lines(run / "evaluate/metrics.jsonl")
    assert [(row["step"], row["split"]) for row in rows] == [(20, "test"), (40, "test"), (60, "test")]
    losses = [row["loss"] for row in lines(run / "train/progress.jsonl")]
    assert losses[-1] < losses[0]


@pytest.mark.xdist_group("finished")
def test_same_command_again_does_nothing(finished, harbour):
    _, out, _, _ = finished
    before = digests(out)
    again = slipway("run", harbour, "--out", out, "--steps", 60, "--checkpoint-every", 20, "--test-ratio", 0.25, *SMALL)
    assert again.returncode == 0
    assert digests(out) == before


@pytest.mark.xdist_group("finished")
@pytest.mark.filterwarnings("ignore")  # what Model Garden's own modules say as they are imported
def test_metrics_equal_those_of_model_gardens_own_evaluation(finished):
    import tensorflow as tf
    import yaml
    from official.core import exp_factory, task_factory
    from official.vision.tasks import retinanet as _tasks  # noqa: F401  # registers experiments and task

    _, _, run, _ = finished
    rows = lines(run / "evaluate/metrics.jsonl")
    config = exp_factory.get_exp_config("retinanet_resnetfpn_coco")
    config.override(yaml.safe_load((run / "train/pipeline.yaml").read_text()), is_strict=False)
    records = json.loads((run / "preprocess/result.json").read_text())["records"]
    pattern = str(run.parent.parent / records / "test-*.tfrecord")
    task = task_factory.get_task(config.task)
    model = task.build_model()
    task.build_metrics(training=False)
    checkpoint = run / "train" / f"ckpt-{rows[-1]['step']}"
    tf.train.Checkpoint(model=model).read(str(checkpoint)).expect_partial()
    state = None
    for inputs in task.build_inputs(config.task.validation_data.replace(input_path=pattern)):
        state = task.aggregate_logs(state, task.validation_step(inputs, model))
    theirs = task.reduce_aggregated_logs(state)
    assert rows[-1]["ARmax100"] > 0
    # Model Garden's truth went through float32 and a resize, ours is the annotation itself.
    assert {name: rows[-1][name] for name in NAMES} == pytest.approx({n: theirs[n] for n in NAMES}, abs=2e-3)


def test_killed_training_goes_on_from_its_last_checkpoint(harbour, tmp_path):
    words = ("run", harbour, "--out", tmp_path, "--name", "killed", "--until", "train", "--steps", 90)
    words = (*words, "--checkpoint-every", 15, *SMALL)
    _kill_trainer_after(2, words)
    listed = sorted(int(p.stem.removeprefix("ckpt-")) for p in (tmp_path / "runs/killed/train").glob("ckpt-*.json"))
    assert listed[-1] >= 30
    again = slipway(*words)
    assert again.returncode == 0, again.stdout + again.stderr
    steps = [row["step"] for row in lines(tmp_path / "runs/killed/train/progress.jsonl")]
    assert steps == sorted(set(steps))
    assert steps[-1] == 90
    logs = "".join(path.read_text() for path in (tmp_path / "runs/killed/logs/train").rglob("*.log"))
    resumed = int(re.search(r"event=training_resumed step=(\d+)", logs)[1])
    assert resumed >= listed[-1]
    measured = [row["step"] for row in lines(tmp_path / "runs/killed/evaluate/metrics.jsonl")]
    assert measured == sorted(set(measured))
    assert measured[-1] == 90


def _kill_trainer_after(checkpoints, words):
    """Start the command; after so many checkpoints kill -9 the runner and all that it started."""
    command = [sys.executable, "-m", "services.cli", *map(str, words), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as runner:
        seen = 0
        for line in runner.stdout:
            seen += json.loads(line).get("event") == "checkpoint_saved"
            if seen == checkpoints:
                break
        for pid in _children(runner.pid):
            os.kill(pid, signal.SIGKILL)
        runner.kill()


def _children(pid):
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_patience_stops_the_training_early(harbour, tmp_path):
    # With a learning rate of nearly nothing, no checkpoint is better than the first.
    done = slipway(
        *("run", harbour, "--out", tmp_path, "--until", "train", "--steps", 4000, "--checkpoint-every", 10),
        *("--patience", 1, "--learning-rate", 1e-9, "--val-ratio", 0.2, *SMALL),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = (tmp_path / "runs").iterdir()
    assert json.loads((run / "train/result.json").read_text())["steps"] < 4000
    best = json.loads((run / "evaluate/best.json").read_text())
    assert (best["chosen_on"], best["split"]) == ("val", "test")


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        pytest.param("ro,size=1m", 65, "Read-only file system", id="read-only"),
        pytest.param("size=200k", 75, "No space left on device", id="full"),
    ],
)
def test_place_that_cannot_be_written_is_one_message(harbour, tmp_path, options, code, says):
    with _mounted(tmp_path / "out", options):
        done = slipway("run", harbour, "--out", tmp_path / "out", "--until", "ingest")
    assert done.returncode == code
    words = done.stdout + done.stderr
    assert says in words
    assert "Traceback" not in words


@contextlib.contextmanager
def _mounted(folder, options):
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this machine allows no mount")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def _image(folder, name="a", content=None):
    from PIL import Image

    if content is not None:
        (folder / f"{name}.jpg").write_bytes(content)
    else:
        Image.new("RGB", (64, 48)).save(folder / f"{name}.jpg")


def _pair(folder, xml, image="a", content=None):
    _image(folder, image, content)
    (folder / "a.xml").write_text(xml)


def _xml(filename="a.jpg", xmax=30):
    return (
        f"<annotation><filename>{filename}</filename><size><width>64</width><height>48</height></size>"
        "<object><name>ship</name><bndbox><xmin>5</xmin><ymin>5</ymin>"
        f"<xmax>{xmax}</xmax><ymax>20</ymax></bndbox></object></annotation>"
    )


BAD = {
    "empty": (lambda folder: None, r"no such folder, or nothing in it"),
    "no-annotations": (_image, r"1 images, but no annotation"),
    "malformed": (
        lambda folder: _pair(folder, "<annotation><obj"),
        r"a\.xml: line 1, column \d+: cannot be parsed as XML",
    ),
    "missing-image": (lambda folder: _pair(folder, _xml("b.jpg"), "c"), r"names the image 'b\.jpg', which is not in"),
    "outside": (lambda folder: _pair(folder, _xml(xmax=90)), r"object 0 \('ship'\) ends at x=90, image width is 64"),
    "unreadable": (
        lambda folder: _pair(folder, _xml(), content=b"<html>"),
        r"a\.jpg: is not an image that can be read",
    ),
}


@pytest.mark.parametrize("fault", BAD)
def test_bad_input_is_one_message_and_65(tmp_path, fault):
    make, says = BAD[fault]
    folder = tmp_path / "images"
    folder.mkdir()
    make(folder)
    done = slipway("run", folder, "--out", tmp_path / "out")
    words = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 65, words
    assert re.search(says, words), words
    assert "Traceback" not in words
    assert not list((tmp_path / "out").rglob("manifest.json"))


def test_label_that_a_given_map_lacks_is_refused(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    _pair(folder, _xml())
    (tmp_path / "map.pbtxt").write_text("item { id: 1 name: 'buoy' }")
    done = slipway("run", folder, "--label-map", tmp_path / "map.pbtxt", "--out", tmp_path / "out")
    assert done.returncode == 65
    assert re.search(r"object 0 \('ship'\) has a label that the label map lacks", done.stdout + done.stderr)
