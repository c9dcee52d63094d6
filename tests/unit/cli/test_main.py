import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from slipway.errors import InputError, SpecError
from slipway.run.spec import slug

from services.cli.commands import run as commands
from services.cli.local import process as child
from services.cli.local import supervisor as crew
from services.cli.local.run_request import Asked, training_run
from services.cli.main import main
from services.cli.screen import summary
from services.cli.screen.console import PlainLines, finding_line, sentences
from services.cli.screen.stage_progress import Gauge, gauge_of

ROOT = Path(__file__).parents[3]
FAKES = ROOT / "tests" / "fakes" / "stages.py"
LABEL_MAP = "item { id: 1 name: 'duck' }\n"


@pytest.fixture
def ponds(tmp_path):
    folder = tmp_path / "My Ponds!"
    folder.mkdir()
    (folder / "a.xml").write_text("<annotation/>")
    return folder


@pytest.fixture
def fakes(tmp_path, monkeypatch):
    """Run fake stages in the place of the services; what is written here is what they do."""
    folder = tmp_path / "orders"
    folder.mkdir()
    monkeypatch.setenv("FAKE_STAGES", str(folder))
    path = os.pathsep.join([str(ROOT / "shared"), str(ROOT), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.setattr(child, "command", lambda part: [sys.executable, str(FAKES), part.module, *part.arguments])
    monkeypatch.setattr(crew, "RETRY_WAITS_SEC", (0.0, 0.0, 0.0))
    return folder


def slipway(*arguments):
    """Run the command and return its exit code."""
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    return left.value.code


def asked(ponds, **options):
    return training_run(Asked(ponds, options), ponds.parent / "out")


# Options


def test_a_run_is_named_after_its_folder_and_its_digest(ponds):
    run = asked(ponds)
    assert run.metadata.name == f"my-ponds-{run.spec.digest()[:8]}"


def test_the_same_folder_and_options_are_the_same_run(ponds):
    assert asked(ponds, steps=7) == asked(ponds, steps=7)


def test_another_option_is_another_run(ponds):
    assert asked(ponds, steps=7).metadata.name != asked(ponds, steps=8).metadata.name


def test_a_changed_folder_is_another_run(ponds):
    before = asked(ponds).metadata.name
    (ponds / "a.xml").write_text("<annotation></annotation>")
    assert asked(ponds).metadata.name != before


def test_the_seed_is_the_partitions_and_the_trainings(ponds):
    spec = asked(ponds, seed=5).spec
    assert (spec.ingest.seed, spec.train.seed) == (5, 5)


def test_options_that_are_not_given_set_nothing(ponds):
    assert asked(ponds, steps=None, invalid=None).spec == asked(ponds).spec


@pytest.mark.parametrize(
    ("folder", "name"),
    [("Raccoon_Dataset", "raccoon-dataset"), ("---", "images"), ("Ä", "images"), ("x" * 60, "x" * 52), ("a..b", "a-b")],
)
def test_slug_is_a_valid_name(folder, name):
    assert slug(folder) == name


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"steps": 0}, r"--steps: .*greater than or equal to 1 \(got 0\)"),
        ({"batch_size": 0}, r"--batch-size: .* \(got 0\)"),
        ({"image_size": 100}, r"--image-size: .*multiple of 32 \(got 100\)"),
        ({"learning_rate": -1.0}, r"--learning-rate: .* \(got -1.0\)"),
        ({"test_ratio": 1.5}, r"--test-ratio: .* \(got 1.5\)"),
        ({"seed": -1}, r"--seed: .* \(got -1\)"),
        ({"invalid": "ignore"}, r"--invalid: .*'fail' or 'drop' \(got 'ignore'\)"),
        ({"until": "lunch"}, r"--until: .*'ingest', 'preprocess'.* \(got 'lunch'\)"),
        ({"preset": "yolo"}, "preset 'yolo' does not exist; choose one of retinanet"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_wrong_option_is_named_with_what_was_given(ponds, options, says):
    with pytest.raises(SpecError, match=says):
        asked(ponds, **options)


def test_a_wrong_name_is_named(ponds):
    with pytest.raises(SpecError, match=r"--name: .*\(got 'My Run'\)"):
        training_run(Asked(ponds, {}, name="My Run"), ponds.parent / "out")


def test_a_missing_folder_is_told(tmp_path):
    with pytest.raises(InputError, match="none: no such folder"):
        asked(tmp_path / "none")


@pytest.mark.parametrize("inside", ["slipway-out", ".", "deep/out"])
def test_outputs_inside_the_folder_are_refused(ponds, inside):
    with pytest.raises(InputError, match="outputs would become input"):
        training_run(Asked(ponds, {}), ponds / inside)


@pytest.mark.parametrize("place", ["outside", "inside"])
def test_a_label_map_is_taken_as_text(ponds, tmp_path, place):
    folder = tmp_path if place == "outside" else ponds
    (folder / "map.pbtxt").write_text(LABEL_MAP)
    assert (
        asked(ponds, label_map=str(tmp_path / "map.pbtxt" if place == "outside" else "map.pbtxt")).spec.ingest.label_map
        == LABEL_MAP
    )


@pytest.mark.parametrize(
    ("content", "says"), [(None, "no such file"), ("", "--label-map .*map.pbtxt"), (b"\xff", "cannot be read as text")]
)
def test_a_label_map_that_is_none_is_refused_before_anything_is_read(ponds, tmp_path, content, says):
    if content is not None:
        (tmp_path / "map.pbtxt").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=says):
        asked(ponds, label_map=str(tmp_path / "map.pbtxt"))


def test_a_local_initial_checkpoint_does_not_depend_on_where_one_stands(ponds, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert asked(ponds, initial_checkpoint="weights").spec.train.initial_checkpoint == str(tmp_path / "weights")


@pytest.mark.parametrize("value", ["scratch", "https://host/w.tar.gz"])
def test_any_other_initial_checkpoint_is_left_alone(ponds, value):
    assert asked(ponds, initial_checkpoint=value).spec.train.initial_checkpoint == value


def run_file(ponds, spec="train: {steps: 7, batchSize: 2}"):
    file = ponds.parent / "run.yaml"
    file.write_text(f"metadata: {{name: filed}}\nspec:\n  dataset: {{source: '{ponds.name}'}}\n  {spec}\n")
    return file


def test_a_run_files_source_is_beside_the_file(ponds):
    run = training_run(Asked(None, {}, file=run_file(ponds)), ponds.parent / "out")
    assert (run.metadata.name, run.spec.dataset.source, run.spec.train.steps) == ("filed", str(ponds), 7)


def test_options_beside_a_run_file_win(ponds):
    run = training_run(Asked(None, {"steps": 9}, "other", run_file(ponds)), ponds.parent / "out")
    assert (run.metadata.name, run.spec.train.steps, run.spec.train.batch_size) == ("other", 9, 2)


def test_a_run_file_that_suspends_is_for_a_cluster(ponds):
    with pytest.raises(SpecError, match="suspend and cancel are for a cluster"):
        training_run(Asked(None, {}, file=run_file(ponds, "suspend: true")), ponds.parent / "out")


def test_either_a_folder_or_a_file(ponds):
    for both in (Asked(ponds, {}, file=run_file(ponds)), Asked(None, {})):
        with pytest.raises(SpecError, match="give either a FOLDER of annotated images, or a run file"):
            training_run(both, ponds.parent / "out")


# What is shown


def test_a_gauge_tells_amount_rate_and_time_left():
    gauge = Gauge("ingest")
    gauge.hear({"event": "progress", "done": 100, "total": 400, "unit": "images"}, 10.0)
    gauge.hear({"event": "progress", "done": 200, "total": 400, "unit": "images"}, 12.0)
    assert gauge.text(12.0) == "200/400 images · 50 images/s · 4.0 s left"


def test_a_gauge_adds_up_the_workers():
    gauge = Gauge("preprocess")
    for index in (0, 1):
        gauge.hear({"event": "progress", "index": index, "done": 5, "total": 10, "unit": "images"}, 10.0)
    assert gauge.text(10.0) == "10/20 images"


def test_a_gauge_of_the_training_tells_loss_speed_and_ap():
    gauge = Gauge("train")
    gauge.hear({"event": "step", "step": 410, "steps": 1500, "loss": 0.523}, 100.0)
    gauge.hear({"event": "evaluated", "step": 400, "split": "test", "AP": 0.5, "AP50": 0.814}, 101.0)
    gauge.hear({"event": "step", "step": 420, "steps": 1500, "loss": 0.4123, "images_per_sec": 18.04}, 105.0)
    assert gauge.text(105.0) == "step 420/1500 · loss 0.412 · 18 images/s · AP50 0.81 (step 400) · 9 min 0 s left"


def test_the_evaluator_is_shown_with_the_trainer():
    assert (gauge_of({"stage": "evaluate"}), gauge_of({"stage": "ingest"}), gauge_of({})) == ("train", "ingest", "")


def test_plain_lines_come_every_few_seconds_and_once_at_the_end(capsys, monkeypatch):
    lines = PlainLines()
    for moment, done in ((0.0, 1), (1.0, 2), (6.0, 3), (7.0, 4)):
        monkeypatch.setattr("time.monotonic", lambda moment=moment: moment)
        lines.show({"event": "progress", "stage": "ingest", "done": done, "total": 4, "unit": "images"})
    lines.show({"event": "stage_over", "stage": "ingest", "code": 0, "duration_sec": 7.0})
    shown = [line.split(" ·")[0] for line in capsys.readouterr().out.splitlines()]
    assert shown == ["ingest: 1/4 images", "ingest: 3/4 images", "ingest: 4/4 images", "ingest: done in 7.0 s"]


@pytest.mark.parametrize(
    ("finding", "line"),
    [
        ({"file": "a.xml", "object": 2, "message": "no area"}, "a.xml: object 2: no area"),
        ({"file": "a.xml", "object": 2, "message": "object 2 has no area"}, "a.xml: object 2 has no area"),
        ({"file": "a.xml", "object": None, "message": "not XML"}, "a.xml: not XML"),
        (
            {"file": "a.xml", "object": 2, "message": "a.xml: object 2 ('x') ends at 7"},
            "a.xml: object 2 ('x') ends at 7",
        ),
    ],
)
def test_a_finding_names_its_file_once(finding, line):
    assert finding_line(finding) == line


def test_many_findings_are_counted_and_left_to_the_report():
    findings = [{"file": "a.xml", "message": "no area"}] * 11
    event = {"event": "findings", "counts": {"box_empty": 11}, "findings": findings, "notes": [], "report": "r.html"}
    assert sentences(event) == ["  findings: 11 box_empty", "    all of them: r.html"]


@pytest.mark.parametrize(
    "event",
    [
        {"event": "log", "level": "INFO", "stage": "train", "message": "hello"},
        {"event": "log", "level": "WARNING", "stage": "train", "message": "deprecated"},
        {"event": "stage_failed", "level": "ERROR", "stage": "train", "error": "x"},
        {"event": "findings", "level": "INFO", "stage": "ingest", "code": "box_empty"},
        {"event": "choices", "level": "INFO", "stage": "ingest"},
        {"event": "progress", "level": "INFO", "stage": "ingest", "done": "many"},
        {"event": "stage_ended", "level": "INFO", "stage": "train", "code": 0},
    ],
    ids=lambda event: event["event"],
)
def test_the_log_stays_off_the_screen(event):
    assert sentences(event) == []


@pytest.mark.parametrize("event", [{"event": "step"}, {"event": "evaluated", "AP50": "nan", "step": 1}, {}], ids=str)
def test_a_gauge_passes_over_what_it_does_not_know(event):
    assert not Gauge("train").hear(event, 0.0)


def test_an_error_of_a_library_is_shown():
    assert sentences({"event": "log", "level": "ERROR", "stage": "train", "message": "oh"}) == ["train: ERROR: oh"]


# The commands


def test_a_run_ends_with_its_figures_and_where_they_are(ponds, fakes, capsys):
    out = ponds.parent / "out"
    assert slipway("run", ponds, "--out", out, "--name", "first") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"run first in {out}/runs/first"
    assert "    a.xml: object 2: the box has no area" in lines
    assert any(
        line.split() == ["│", "best", "│", "20", "│", "0.834", "│", "0.512", "│", "0.600", "│"] for line in lines
    )
    assert any(line.split() == ["│", "swan", "│", "–", "│", "–", "│", "0", "│", "0", "│"] for line in lines)
    assert "took 1 min 6 s: ingest 0.1 s · preprocess 0.2 s · train 1 min 5 s · export 0.2 s · detect 0.2 s" in lines
    assert lines[-3:] == [
        "AP50 0.834 on test, step 20",
        "chosen on the test images",
        f"report: {out}/runs/first/report.html",
    ]
    assert slipway("run", ponds, "--out", out, "--name", "first") == 0
    again = capsys.readouterr().out.splitlines()
    assert again[1] == f"nothing to do: finished {out}/runs/first"
    assert again[-1] == lines[-1]


def test_json_is_one_object_a_line_and_the_last_is_the_outcome(ponds, fakes, capsys):
    assert slipway("run", ponds, "--out", ponds.parent / "out", "--json", "--until", "train", "--name", "first") == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {"event": "step", "step": 10, "loss": 0.5}.items() <= next(e for e in events if e["event"] == "step").items()
    last = events[-1]
    assert (last["event"], last["run"], last["state"], last["code"]) == ("run_over", "first", "SUCCEEDED", 0)
    assert (last["metrics"]["AP50"], last["step"], last["split"]) == (0.834, 20, "test")
    assert last["durations_sec"] == {"ingest": 0.1, "preprocess": 0.2, "train": 65.0}
    assert last["paths"]["run"] == str(ponds.parent / "out" / "runs" / "first")


def test_wrong_input_is_one_message_and_65(ponds, fakes, capsys):
    (fakes / "services.ingest").write_text("input")
    assert slipway("run", ponds, "--out", ponds.parent / "out") == 65
    assert capsys.readouterr().err == "ingest failed: a.jpg: this is no image; remove it\n"


def test_a_full_disk_is_one_message_and_75(ponds, fakes, capsys):
    (fakes / "services.ingest").write_text("retry")
    assert slipway("run", ponds, "--out", ponds.parent / "out") == 75
    assert capsys.readouterr().err == "ingest failed: the store has no room left\n"


def test_a_bug_tells_where_the_traceback_is(ponds, fakes, capsys):
    (fakes / "services.ingest").write_text("bug")
    assert slipway("run", ponds, "--out", ponds.parent / "out", "--name", "first") == 1
    folder = capsys.readouterr().err.splitlines()[-1].removeprefix("the log with the traceback is in ")
    assert any("Traceback" in file.read_text() for file in Path(folder).rglob("*.log"))


def test_check_prints_splits_classes_and_findings(ponds, fakes, capsys):
    assert slipway("check", ponds, "--out", ponds.parent / "out") == 0
    out = capsys.readouterr().out
    assert "│ duck      │          3 │           7 │" in out
    assert "a.xml: object 2: the box has no area" in out
    assert out.splitlines()[-1] == f"report: {ponds.parent}/out/datasets/ponds/0ff1ce/report.html"


def test_check_leaves_with_65_where_a_run_would_stop(ponds, fakes, capsys, monkeypatch):
    monkeypatch.setenv("FAKE_SEVERITY", "error")
    assert slipway("check", ponds, "--out", ponds.parent / "out") == 65
    assert "slipway run stops at findings of severity error" in capsys.readouterr().out
    assert slipway("check", ponds, "--out", ponds.parent / "out", "--invalid", "drop") == 0


def test_a_wrong_option_is_said_without_a_traceback(ponds, capsys):
    assert slipway("run", ponds, "--steps", 0, "--out", ponds.parent / "out") == 65
    assert capsys.readouterr().err == "slipway: --steps: Input should be greater than or equal to 1 (got 0)\n"


def test_a_file_for_an_output_folder_is_refused(ponds, capsys):
    assert slipway("run", ponds, "--out", ponds / "a.xml") == 65
    assert "is a file; give a folder" in capsys.readouterr().err


def test_presets_are_listed_with_what_they_are_for(capsys):
    assert slipway("presets") == 0
    assert "retinanet_resnet50_640       640     16     1  fine-tuned from COCO, on a GPU" in capsys.readouterr().out


def test_presets_are_listed_for_machines(capsys):
    assert slipway("presets", "--json") == 0
    assert {"name": "retinanet_resnet10_320", "image_size": 320, "gpus": 0}.items() <= next(
        row for row in json.loads(capsys.readouterr().out)["presets"] if row["name"] == "retinanet_resnet10_320"
    ).items()


@pytest.mark.parametrize("given", ["out/runs/a/export/saved_model", "out/runs/a/export", "out/runs/a", "a"])
def test_an_exported_model_is_found_by(tmp_path, monkeypatch, given):
    monkeypatch.chdir(tmp_path)
    model = Path("slipway-out/runs/a/export/saved_model")
    model.mkdir(parents=True)
    (model / "saved_model.pb").touch()
    found = commands.find_export(Path(given.replace("out/", "slipway-out/")))
    assert found in (model, model.parent)


def test_a_folder_without_a_model_is_told_where_was_looked(tmp_path):
    with pytest.raises(InputError, match=r"no exported model \(saved_model.pb\) in .*export"):
        commands.find_export(tmp_path)


def test_detect_says_why_the_detector_failed(tmp_path, fakes, capsys):
    (tmp_path / "saved_model.pb").touch()
    (fakes / "services.detector.detect_folder").write_text("tell")
    assert slipway("detect", tmp_path, tmp_path, "--out", tmp_path / "drawn") == 65
    assert capsys.readouterr().err == "none of 3 images could be read\n"


def test_detect_says_how_the_detector_crashed(tmp_path, fakes, capsys):
    (tmp_path / "saved_model.pb").touch()
    (fakes / "services.detector.detect_folder").write_text("crash")
    assert slipway("detect", tmp_path, tmp_path, "--out", tmp_path / "drawn") == 3
    assert "ended with code 3: Fatal: cannot load libnowhere.so" in capsys.readouterr().err


def test_a_name_in_brackets_is_no_markup(capsys):
    summary.data_tables({"labels": ["[red]duck"], "splits": {"train": {"images": 1, "boxes": 1}}, "name": "a"})
    assert "[red]duck" in capsys.readouterr().out


def test_help_imports_nothing_heavy():
    heavy = {"pydantic", "yaml", "minio", "tensorflow"}
    code = f"import sys, services.cli.main; print(sorted({heavy} & set(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'shared'}"}
    answer = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert answer.stdout == "[]\n"
