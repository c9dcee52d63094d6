import json
from pathlib import Path

from tests.unit.cli.conftest import slipway


def test_a_run_ends_with_its_figures_and_where_they_are(source, fake_stages, capsys):
    out = source.parent / "out"
    assert slipway("run", source, "--out", out, "--name", "first") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"run first in {out}/runs/first"
    assert "    a.xml: object 2: the box has no area" in lines
    assert any(
        line.split() == ["│", "best", "│", "20", "│", "0.834", "│", "0.512", "│", "0.600", "│"] for line in lines
    )
    assert any(line.split() == ["│", "swan", "│", "–", "│", "–", "│", "0", "│", "0", "│"] for line in lines)
    assert "took 1 min 6 s: ingest 0.1 s · preprocess 0.2 s · train 1 min 5 s · export 0.2 s · detect 0.2 s" in lines
    assert lines[-4:] == [
        "AP50 0.834 on test, step 20",
        "With the score thresholds of the best F1 on test: precision 0.91, recall 0.80, F1 0.85 on test, "
        "the same images, which flatters them.",
        "chosen on the test images",
        f"report: {out}/runs/first/report.html",
    ]
    assert slipway("run", source, "--out", out, "--name", "first") == 0
    lines_again = capsys.readouterr().out.splitlines()
    assert lines_again[1] == f"nothing to do: finished {out}/runs/first"
    assert lines_again[-1] == lines[-1]


def test_json_is_one_object_a_line_and_the_last_is_the_outcome(source, fake_stages, capsys):
    assert slipway("run", source, "--out", source.parent / "out", "--json", "--until", "train", "--name", "first") == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {"event": "step", "step": 10, "loss": 0.5}.items() <= next(e for e in events if e["event"] == "step").items()
    last = events[-1]
    assert (last["event"], last["run"], last["state"], last["code"]) == ("run_over", "first", "SUCCEEDED", 0)
    assert (last["metrics"]["AP50"], last["step"], last["split"]) == (0.834, 20, "test")
    assert (last["operating_points"]["overall"]["threshold"], last["warning"]) == (0.35, "")
    assert last["durations_sec"] == {"ingest": 0.1, "preprocess": 0.2, "train": 65.0}
    assert last["paths"]["run"] == str(source.parent / "out" / "runs" / "first")


def test_wrong_input_is_one_message_and_65(source, fake_stages, capsys):
    (fake_stages / "services.ingest").write_text("input")
    assert slipway("run", source, "--out", source.parent / "out") == 65
    assert capsys.readouterr().err == "ingest failed: a.jpg: this is no image; remove it\n"


def test_a_full_disk_is_one_message_and_75(source, fake_stages, capsys):
    (fake_stages / "services.ingest").write_text("retry")
    assert slipway("run", source, "--out", source.parent / "out") == 75
    assert capsys.readouterr().err == "ingest failed: the store has no room left\n"


def test_a_bug_tells_where_the_traceback_is(source, fake_stages, capsys):
    (fake_stages / "services.ingest").write_text("bug")
    assert slipway("run", source, "--out", source.parent / "out", "--name", "first") == 1
    folder = capsys.readouterr().err.splitlines()[-1].removeprefix("the log with the traceback is in ")
    assert any("Traceback" in file.read_text() for file in Path(folder).rglob("*.log"))


def test_a_wrong_option_is_said_without_a_traceback(source, capsys):
    assert slipway("run", source, "--steps", 0, "--out", source.parent / "out") == 65
    assert capsys.readouterr().err == "slipway: --steps: Input should be greater than or equal to 1 (got 0)\n"


def test_a_file_for_an_output_folder_is_refused(source, capsys):
    assert slipway("run", source, "--out", source / "a.xml") == 65
    assert "is a file; give a folder" in capsys.readouterr().err
