"""The settings file."""

import json

import pytest

from slipway.errors import SpecError
from slipway.settings_file import read_settings_file

from services.detector.serving.__main__ import main
from services.detector.serving.settings import DetectorSettings


def test_an_empty_file_is_all_defaults(tmp_path):
    file = tmp_path / "detector.yaml"
    file.write_text("")
    settings = read_settings_file(file, DetectorSettings)
    assert (settings.models, settings.kept_models, settings.limits.body_bytes) == ([], 4, 20 << 20)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("{models: [a, b], keptModels: 1}", "models lists 2, keptModels keeps 1; raise it, or list fewer"),
        ("{models: ['../a']}", "models.0: String should match"),
        ("{limits: {atOnce: 0}}", "limits.atOnce: Input should be greater than or equal to 1"),
        ("{model: x}", "model: Extra inputs are not permitted"),
    ],
)
def test_a_wrong_field_is_named(tmp_path, text, wrong):
    file = tmp_path / "detector.yaml"
    file.write_text(text)
    with pytest.raises(SpecError, match=wrong):
        read_settings_file(file, DetectorSettings)


def test_a_start_that_fails_is_one_event(tmp_path, capfd):
    missing = str(tmp_path / "missing.yaml")
    assert main(["--settings", missing, "--store", str(tmp_path), "--log-format", "json"]) == 65
    (line,) = capfd.readouterr().err.splitlines()
    event = json.loads(line)
    assert (event["stage"], event["event"], event["error"][: len(missing)]) == ("detector", "detector_failed", missing)
