"""The command on the output folder of an earlier version, which EARLIER names."""

import json
import re
import signal
import subprocess

import pytest

from tests import earlier_version
from tests.integration.command import SMALL, digests, lines, slipway

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def earlier_command():
    return earlier_version.command(earlier_version.checkout())


def options(harbour, out, name, *more):
    return ["run", str(harbour), "--out", str(out), "--name", name, "--checkpoint-every", "20", *SMALL, *more]


def interrupt_training(command):
    """Start a command, and interrupt it at the first checkpoint; return its exit code."""
    with subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if json.loads(line).get("event") == "checkpoint_saved":
                process.send_signal(signal.SIGINT)
                break
        process.stdout.read()
    return process.returncode


def test_an_interrupted_run_is_continued_from_its_checkpoint_and_a_finished_one_is_shown(
    earlier_command, harbour, tmp_path
):
    out, folder = tmp_path / "out", tmp_path / "out/runs/interrupted"
    finished = options(harbour, out, "finished", "--steps", "20", "--until", "train")
    interrupted = options(harbour, out, "interrupted", "--steps", "200")
    subprocess.run([earlier_command, *finished], check=True, capture_output=True)
    assert interrupt_training([earlier_command, *interrupted]) == 130
    checkpoint = max(int(file.stem.removeprefix("ckpt-")) for file in (folder / "train").glob("ckpt-*.json"))
    assert 20 <= checkpoint < 200
    files = digests(out)

    shown = slipway(*finished)

    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert f"nothing to do: finished {out}/runs/finished" in shown.stdout
    assert digests(out) == files

    continued = slipway(*interrupted)

    assert continued.returncode == 0, continued.stdout + continued.stderr
    logs = "".join(path.read_text() for path in (folder / "logs/train").rglob("*.log"))
    assert [int(step) for step in re.findall(r"event=training_resumed step=(\d+)", logs)] == [checkpoint]
    steps = [row["step"] for row in lines(folder / "train/progress.jsonl")]
    assert steps == sorted(set(steps))
    assert steps[-1] == 200
    assert (folder / "report.html").is_file()
    assert {path: digest for path, digest in digests(out).items() if path.startswith(("datasets", "records"))} == {
        path: digest for path, digest in files.items() if path.startswith(("datasets", "records"))
    }
    detected = slipway("detect", folder, harbour / "images", "--out", tmp_path / "detections")
    assert detected.returncode == 0, detected.stdout + detected.stderr
    swept = slipway("gc", "--store", out, "--dry-run", "--runs", "0m", "--json")
    assert json.loads(swept.stdout.splitlines()[-1])["counts"] == {"run": 2}
