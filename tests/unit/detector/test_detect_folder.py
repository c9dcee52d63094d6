"""Arguments that `slipway detect` refuses before it loads a model, and the thresholds of its detections."""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from slipway.artifacts.operating_point import ScoreThresholds
from slipway.dataset.boxes import Box

from services.detector import detect_folder
from services.detector.detect import Detection
from services.detector.detect_folder import main

MANIFEST = {"step": 7, "preset": "small", "image_size": 64, "labels": ["cat", "dog"], "files": {"a": "0" * 64}}
RATES = {"precision": 0.9, "recall": 0.8, "f1": 0.85}
POINTS = {
    "split": "val",
    "overall": {"threshold": 0.3, **RATES},
    "per_class": [{"label": "dog", "boxes": 20, "threshold": 0.6, **RATES}],
}


@pytest.fixture(autouse=True)
def _log() -> Iterator[None]:
    """Restore the root logger, which the command changes."""
    handlers = logging.getLogger().handlers
    yield
    logging.getLogger().handlers = handlers
    logging.captureWarnings(False)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    Image.new("RGB", (8, 8)).save(folder / "a.png")
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """An export as far as file names go."""
    folder = tmp_path / "export"
    (folder / "saved_model").mkdir(parents=True)
    (folder / "saved_model" / "saved_model.pb").touch()
    (folder / "label_map.pbtxt").write_text("item { id: 1 name: 'cat' }")
    return folder


def refusal(capsys: pytest.CaptureFixture[str], model: Path, images: Path, out: Path) -> str:
    assert main(["--model", str(model), "--images", str(images), "--out", str(out)]) == 65
    return capsys.readouterr().err


@pytest.mark.parametrize("missing", ["saved_model/saved_model.pb", "label_map.pbtxt"])
def test_a_model_folder_that_lacks_something_names_it(
    model: Path, images: Path, tmp_path: Path, missing: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (model / missing).unlink()

    log = refusal(capsys, model, images, tmp_path / "out")

    assert f"is missing, expected {model / missing}; give the export folder of a run" in log


def test_no_model_no_images_and_an_empty_folder_are_distinguished(
    model: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "notes.txt").touch()

    assert "nowhere: no such folder" in refusal(capsys, tmp_path / "nowhere", images, tmp_path / "out")
    assert "gone: no such file or folder" in refusal(capsys, model, tmp_path / "gone", tmp_path / "out")
    assert "empty: no images among 1 files" in refusal(capsys, model, empty, tmp_path / "out")


@pytest.mark.parametrize("folder", ["images", "images/out", "."], ids=["the-same", "inside", "around"])
def test_an_output_folder_that_is_mixed_with_the_images_is_refused(
    model: Path, images: Path, tmp_path: Path, folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "is in the same place as the images" in refusal(capsys, model, images, tmp_path / folder)
    assert sorted(path.name for path in images.iterdir()) == ["a.png"]


def test_one_image_is_not_drawn_beside_itself(model: Path, images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "is in the same place as the images" in refusal(capsys, model, images / "a.png", images)


def test_a_folder_with_other_files_is_not_written_to(
    model: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "photos"
    out.mkdir()
    (out / "a.jpg").write_bytes(b"mine")

    assert "holds other files, which drawn images might replace" in refusal(capsys, model, images, out)
    assert "is a file; choose a folder" in refusal(capsys, model, images, out / "a.jpg")
    assert (out / "a.jpg").read_bytes() == b"mine"


def test_a_score_threshold_in_percent_is_refused(
    model: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        "--model",
        str(model),
        "--images",
        str(images),
        "--out",
        str(tmp_path / "out"),
        "--score-threshold",
        "40",
    ]

    assert main(arguments) == 65
    assert "--score-threshold is 40, expected 0 to 1" in capsys.readouterr().err


class FakeDetector:
    """Detects one box of each label, both with the score 0.5."""

    def detect(self, image: Image.Image, thresholds: ScoreThresholds) -> list[Detection]:
        boxes = [Detection(label, number, 0.5, Box(0, 0, 4, 4)) for number, label in enumerate(("cat", "dog"), start=1)]
        return [detection for detection in boxes if detection.score >= thresholds.of(detection.label)]


@pytest.fixture
def detected_labels(
    model: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[str]]:
    """Return a function that detects in the image, and returns the labels in `detections.json`."""
    monkeypatch.setattr(detect_folder, "load", lambda folder: FakeDetector())

    def detect(folder: Path, *options: str) -> list[str]:
        out = tmp_path / "out"
        assert main(["--model", str(folder), "--images", str(images), "--out", str(out), *options]) == 0
        (row,) = json.loads((out / "detections.json").read_text())
        return [detection["label"] for detection in row["detections"]]

    return detect


@pytest.mark.parametrize("folder", ["", "saved_model"], ids=["export", "saved-model"])
def test_the_thresholds_are_those_of_the_models_manifest_unless_one_is_given(
    model: Path, detected_labels: Callable[..., list[str]], folder: str
) -> None:
    (model / "manifest.json").write_text(json.dumps(MANIFEST | {"operating_points": POINTS}))

    assert detected_labels(model / folder) == ["cat"]
    assert detected_labels(model / folder, "--score-threshold", "0") == ["cat", "dog"]
    assert detected_labels(model / folder, "--score-threshold", "0.51") == []


def test_a_model_without_measured_thresholds_has_the_fixed_one(
    model: Path, detected_labels: Callable[..., list[str]]
) -> None:
    assert detected_labels(model) == ["cat", "dog"]
    (model / "manifest.json").write_text(json.dumps(MANIFEST))
    assert detected_labels(model) == ["cat", "dog"]


def test_a_damaged_manifest_is_named_unless_a_threshold_is_given(
    model: Path,
    images: Path,
    tmp_path: Path,
    detected_labels: Callable[..., list[str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    (model / "manifest.json").write_text("{")

    assert detected_labels(model, "--score-threshold", "0.5") == ["cat", "dog"]
    assert main(["--model", str(model), "--images", str(images), "--out", str(tmp_path / "out")]) != 0
    assert f"{model / 'manifest.json'}: is not JSON" in capsys.readouterr().err
