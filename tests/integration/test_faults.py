"""The command in trouble: processes that are killed, folders that cannot be written, images that cannot be used."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.command import SMALL, lines, slipway

pytestmark = pytest.mark.slow

# The command, but a stage that may pass when it is tried again is tried again at once.
WITHOUT_WAITS = (
    "-c",
    "from services.cli import main; from services.cli.local import supervisor; "
    "supervisor.RETRY_WAITS_SEC = (0.0, 0.0, 0.0); main.main()",
)


def test_killed_training_goes_on_from_its_last_checkpoint_until_patience_stops_it(harbour, tmp_path):
    # With a learning rate of nearly nothing, no checkpoint is better than the first.
    words = ("run", harbour, "--out", tmp_path, "--name", "killed", "--until", "train", "--steps", 20_000)
    words = (*words, "--checkpoint-every", 10, "--patience", 1, "--learning-rate", 1e-9, "--val-ratio", 0.2, *SMALL)
    words = (*words, "--augment", "mosaic=0.5", "--augment", "colour=0.5")
    run = tmp_path / "runs/killed"
    _kill_trainer_after(2, words)
    listed = sorted(int(p.stem.removeprefix("ckpt-")) for p in (run / "train").glob("ckpt-*.json"))
    assert listed[-1] >= 20

    again = slipway(*words)

    assert again.returncode == 0, again.stdout + again.stderr
    last = json.loads((run / "train/result.json").read_text())["steps"]
    assert listed[-1] < last < 20_000
    steps = [row["step"] for row in lines(run / "train/progress.jsonl")]
    assert steps == sorted(set(steps))
    assert steps[-1] == last
    logs = "".join(path.read_text() for path in (run / "logs/train").rglob("*.log"))
    resumed = int(re.search(r"event=training_resumed step=(\d+)", logs)[1])
    assert resumed >= listed[-1]
    measured = [row["step"] for row in lines(run / "evaluate/metrics.jsonl") if row["split"] == "val"]
    assert measured == sorted(set(measured))
    assert measured[-1] == last
    best = json.loads((run / "evaluate/best.json").read_text())
    assert (best["chosen_on"], best["split"]) == ("val", "test")


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
        done = slipway("run", harbour, "--out", tmp_path / "out", "--until", "ingest", program=WITHOUT_WAITS)
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
        r"a\.jpg: is a web page, which cannot be read",
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
