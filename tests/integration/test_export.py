"""Export and detect for real: a small model with random weights, drawn images, every key in a folder."""

import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from slipway import keys
from slipway.artifacts.checkpoints import Checkpoints
from slipway.artifacts.export import ExportManifest
from slipway.artifacts.json_io import read_document
from slipway.artifacts.records import PreprocessResult
from slipway.store.interface import ObjectStore, download_all, list_keys
from tests.fakes.squares import NAME, export_squares, params

from services.detector.detect_folder import main as detect_folder
from services.detector.service import detect
from services.exporter.compare import ParityError
from services.exporter.export import export_saved_model, load_trained_model
from services.exporter.parity import check_saved_model

# TensorFlow's converter and interpreter warn of their own future.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def exported(scratch: Path) -> ObjectStore:
    return export_squares(scratch)


def test_the_export_is_the_measured_model(exported: ObjectStore) -> None:
    parity = read_document(exported, keys.export_manifest(NAME), ExportManifest).parity

    assert (parity.images, parity.unmatched) == (4, 0)
    assert parity.anchors == 4 * 6 * (16**2 + 8**2 + 4**2 + 2**2)  # 128 px at strides 8 to 64, six anchors a place
    assert parity.detections > 0
    assert parity.max_box_diff_px <= 1e-3
    assert parity.max_score_diff <= 1e-5


def test_the_manifest_lists_every_file_with_its_digest(exported: ObjectStore) -> None:
    folder = keys.stage(NAME, "export")
    files = read_document(exported, keys.export_manifest(NAME), ExportManifest).files

    names = {key.removeprefix(f"{folder}/") for key in list_keys(exported, folder)}
    assert set(files) == names - {"manifest.json", "result.json"}
    assert {"saved_model/saved_model.pb", "model.tflite", "label_map.pbtxt", "model_card.md"} <= set(files)
    for name, digest in files.items():
        assert hashlib.sha256(exported.read(f"{folder}/{name}")).hexdigest() == digest


def test_one_image_in_a_batch_is_detected_as_alone(exported: ObjectStore, tmp_path: Path) -> None:
    import tensorflow as tf

    download_all(exported, keys.saved_model(NAME), tmp_path)
    loaded = tf.saved_model.load(str(tmp_path))
    images = np.random.default_rng(5).integers(0, 255, (3, 70, 110, 3), dtype=np.uint8)

    batch = loaded.signatures["serving_default"](image_tensor=tf.constant(images))
    alone = loaded.signatures["serving_default"](image_tensor=tf.constant(images[1:2]))

    assert batch["detection_boxes"].shape == (3, 100, 4)
    assert np.allclose(batch["detection_scores"][1], alone["detection_scores"][0], atol=1e-5)


def test_weights_of_another_checkpoint_do_not_pass_the_gate(exported: ObjectStore, tmp_path: Path) -> None:
    checkpoint = Checkpoints(exported, keys.best_checkpoint(NAME)).fetch(10, tmp_path)
    trained_model = load_trained_model(
        "retinanet_resnetfpn_coco", exported.read(keys.pipeline_config(NAME)), checkpoint
    )
    export_saved_model(trained_model, tmp_path / "saved_model")
    bias = next(v for v in trained_model.model.variables if "bias" in v.name)
    bias.assign_add(np.full(bias.shape, 0.5))

    with pytest.raises(ParityError, match=r"0\.jpg: boxes differ by up to .* the export is not the measured model"):
        check_saved_model(trained_model, tmp_path / "saved_model", records(exported, tmp_path), tmp_path)


def test_a_letterboxed_model_is_exported_as_such(exported: ObjectStore, tmp_path: Path) -> None:
    checkpoint = Checkpoints(exported, keys.best_checkpoint(NAME)).fetch(10, tmp_path)
    pipeline = exported.read(keys.pipeline_config(NAME)).replace(
        b"keep_aspect_ratio: false", b"keep_aspect_ratio: true"
    )
    trained_model = load_trained_model("retinanet_resnetfpn_coco", pipeline, checkpoint)
    export_saved_model(trained_model, tmp_path / "saved_model")

    parity = check_saved_model(trained_model, tmp_path / "saved_model", records(exported, tmp_path), tmp_path)

    assert (parity.images, parity.unmatched) == (4, 0)


def records(store: ObjectStore, folder: Path) -> list[bytes]:
    import tensorflow as tf

    result = read_document(store, keys.result(NAME, "preprocess"), PreprocessResult)
    store.download(result.shard_keys("test")[0], folder / "test.tfrecord")
    return list(tf.data.TFRecordDataset(str(folder / "test.tfrecord")).as_numpy_iterator())


def test_detect_draws_and_lists_as_many_images_as_asked_and_writes_the_page(
    exported: ObjectStore, scratch: Path
) -> None:
    result = detect(params(scratch, "detect"), exported)

    rows = json.loads(exported.read(keys.detections(NAME)))
    assert [(row["filename"], row["width"], row["height"]) for row in rows] == [
        ("0.jpg", 200, 120),
        ("1.jpg", 90, 160),
        ("2.jpg", 128, 128),
    ]
    assert result.detections == sum(len(row["detections"]) for row in rows) > 0
    assert all(0 <= d["box"]["xmin"] <= d["box"]["xmax"] <= 90 for d in rows[1]["detections"])
    assert Image.open(io.BytesIO(exported.read(keys.drawn_image(NAME, "1.jpg")))).size == (90, 160)
    page = exported.read(keys.report(NAME)).decode()
    assert "AP50 0.20" in page
    assert "AP50 is 0.20, below 0.5: do not rely on this detector" in page
    assert "Score thresholds" in page
    assert "It flatters." in page
    assert json.loads(exported.read(keys.export_manifest(NAME)))["operating_points"]["overall"]["threshold"] == 0.2
    assert "slipway detect runs/squares/export" in page


def test_a_damaged_saved_model_is_refused(
    exported: ObjectStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    download_all(exported, keys.stage(NAME, "export"), tmp_path / "model")
    (tmp_path / "model/saved_model/saved_model.pb").write_bytes(b"<html>")
    (tmp_path / "a.png").write_bytes(b"")
    arguments = ["--model", str(tmp_path / "model"), "--images", str(tmp_path / "a.png"), "--out"]

    assert detect_folder([*arguments, str(tmp_path / "out")]) == 65
    assert "saved_model: TensorFlow cannot load it" in capsys.readouterr().err


def test_detect_folder_skips_what_is_no_image_and_changes_no_input(
    exported: ObjectStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    download_all(exported, keys.stage(NAME, "export"), tmp_path / "model")
    images = tmp_path / "images"
    (images / "deep").mkdir(parents=True)
    (images / "deep" / "a.jpg").write_bytes(exported.read(next(list_keys(exported, "blobs"))))
    (images / "b.png").write_bytes(b"<html>")
    (images / "a.xml").write_text("<annotation/>")
    before = {path: path.read_bytes() for path in images.rglob("*") if path.is_file()}
    arguments = ["--model", str(tmp_path / "model" / "saved_model"), "--images", str(images), "--out"]

    assert detect_folder([*arguments, str(tmp_path / "out")]) == 0
    assert detect_folder([*arguments, str(tmp_path / "out")]) == 0  # its own files it may replace

    assert [row["filename"] for row in json.loads((tmp_path / "out/detections.json").read_text())] == ["deep/a.jpg"]
    assert (tmp_path / "out/deep/a.jpg").is_file()
    log = capsys.readouterr().err
    assert "event=image_skipped file=b.png" in log
    assert "images=1" in log
    assert "skipped=1 ignored=1" in log
    assert {path: path.read_bytes() for path in images.rglob("*") if path.is_file()} == before
