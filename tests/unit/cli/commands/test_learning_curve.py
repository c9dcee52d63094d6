import json

import pytest

from slipway import keys
from slipway.artifacts.json_io import read_document
from slipway.artifacts.learning_curve import LearningCurve
from slipway.store.folder import FolderStore
from tests.unit.cli.conftest import slipway

SENTENCE = (
    "From 20 to 40 to 80 training images AP50 was 0.63, 0.73, 0.83: doubling them again would add about 0.05 "
    "(differences below about 0.12 are noise on 20 test images)."
)


@pytest.fixture
def out(source):
    return source.parent / "out"


def starts(folder, module):
    return len((folder / f"services.{module}.starts").read_text().split())


def test_a_run_is_trained_on_shares_first_and_says_whether_more_images_help(source, out, fake_stages, capsys):
    command = ("run", source, "--learning-curve", "--name", "whole", "--out", out)
    assert slipway(*command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert SENTENCE in lines
    assert lines[-1] == f"report: {out}/runs/whole/report.html"
    curve = read_document(FolderStore(out), keys.learning_curve("whole"), LearningCurve)
    assert [point.images for point in curve.points] == [20, 40, 80]
    assert (curve.points[-1].run, curve.boxes) == ("whole", 40)
    assert [starts(fake_stages, module) for module in ("trainer", "exporter", "detector")] == [3, 1, 1]
    assert slipway(*command) == 0
    assert SENTENCE in capsys.readouterr().out.splitlines()
    assert [starts(fake_stages, module) for module in ("trainer", "detector")] == [3, 1]


def test_the_report_of_a_finished_run_is_written_again_with_the_curve(source, out, fake_stages, capsys):
    assert slipway("run", source, "--out", out) == 0
    assert slipway("run", source, "--out", out, "--learning-curve", "--json") == 0
    assert [starts(fake_stages, module) for module in ("trainer", "exporter", "detector")] == [3, 1, 2]
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert [event["event"] for event in events[-2:]] == ["learning_curve", "run_over"]
    assert events[-2]["sentence"] == SENTENCE


def test_a_training_on_a_share_that_fails_ends_the_command(source, out, fake_stages, capsys):
    (fake_stages / "services.preprocess").write_text("input")
    assert slipway("run", source, "--out", out, "--learning-curve") == 65
    assert capsys.readouterr().err == "preprocess failed: a.jpg: this is no image; remove it\n"
    assert starts(fake_stages, "preprocess") in {1, 2}  # the workers of the first training, and of no other


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--train-share", 0.5), "leave out --train-share"),
        (("--until", "preprocess"), "this run ends with preprocess"),
    ],
)
def test_a_request_that_compares_nothing_is_refused(source, out, capsys, option, message):
    assert slipway("run", source, "--out", out, "--learning-curve", *option) == 65
    assert message in capsys.readouterr().err
