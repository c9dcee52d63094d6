from pathlib import Path

import pytest

from slipway.errors import InputError
from tests.unit.cli.conftest import slipway

from services.cli.commands import detect
from services.cli.commands.detect import find_export
from services.cli.local.process import ExitStatus


@pytest.mark.parametrize("name", ["out/runs/a/export/saved_model", "out/runs/a/export", "out/runs/a", "a"])
def test_an_exported_model_is_found_by(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    model = Path("slipway-out/runs/a/export/saved_model")
    model.mkdir(parents=True)
    (model / "saved_model.pb").touch()
    export = find_export(Path(name.replace("out/", "slipway-out/")))
    assert export in (model, model.parent)


def test_a_folder_without_a_model_is_told_where_was_looked(tmp_path):
    with pytest.raises(InputError, match=r"no exported model \(saved_model.pb\) in .*export"):
        find_export(tmp_path)


@pytest.mark.parametrize(
    ("options", "passed"),
    [((), []), (("--score-threshold", "0"), ["--score-threshold", "0.0"])],
    ids=["model", "given"],
)
def test_the_threshold_is_the_models_unless_one_is_given(tmp_path, monkeypatch, options, passed):
    (tmp_path / "saved_model.pb").touch()
    calls = []
    monkeypatch.setattr(detect, "_run_detector", lambda arguments, show: calls.append(arguments) or ExitStatus(0))
    assert slipway("detect", tmp_path, tmp_path, "--out", tmp_path / "drawn", *options) == 0
    assert calls[0][calls[0].index("--out") + 2 :] == passed


def test_detect_says_why_the_detector_failed(tmp_path, fake_stages, capsys):
    (tmp_path / "saved_model.pb").touch()
    (fake_stages / "services.detector.detect_folder").write_text("tell")
    assert slipway("detect", tmp_path, tmp_path, "--out", tmp_path / "drawn") == 65
    assert capsys.readouterr().err == "none of 3 images could be read\n"


def test_detect_says_how_the_detector_crashed(tmp_path, fake_stages, capsys):
    (tmp_path / "saved_model.pb").touch()
    (fake_stages / "services.detector.detect_folder").write_text("crash")
    assert slipway("detect", tmp_path, tmp_path, "--out", tmp_path / "drawn") == 3
    assert "ended with code 3: Fatal: cannot load libnowhere.so" in capsys.readouterr().err
