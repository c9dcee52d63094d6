"""A dataset of Slipway in YOLO's format."""

import yaml

from tests.benchmarks.quality.yolo_format import export_yolo


def test_each_image_is_in_the_split_that_slipway_gave_it(prepared, tmp_path):
    folder = export_yolo(prepared.inputs, prepared.store, tmp_path / "yolo").parent
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*") if path.suffix != ".yaml")
    assert files == [
        "images/test/000003.jpg",
        "images/train/000001.png",
        "images/train/000002.jpg",
        "labels/test/000003.txt",
        "labels/train/000001.txt",
        "labels/train/000002.txt",
    ]
    assert (folder / "images/test/000003.jpg").read_bytes() == b"c.jpg"


def test_a_box_is_its_class_from_0_its_centre_and_its_size_as_shares_of_the_image(prepared, tmp_path):
    folder = export_yolo(prepared.inputs, prepared.store, tmp_path / "yolo").parent
    assert (folder / "labels/train/000001.txt").read_text() == (
        "0 0.175000 0.300000 0.250000 0.200000\n1 0.500000 0.500000 1.000000 1.000000\n"
    )
    assert (folder / "labels/train/000002.txt").read_text() == ""


def test_without_a_val_split_the_checkpoint_is_chosen_on_test(prepared, tmp_path):
    description = yaml.safe_load(export_yolo(prepared.inputs, prepared.store, tmp_path / "yolo").read_text())
    assert description == {
        "path": str(tmp_path / "yolo"),
        "train": "images/train",
        "val": "images/test",
        "test": "images/test",
        "nc": 2,
        "names": {0: "duck", 1: "swan"},
    }
