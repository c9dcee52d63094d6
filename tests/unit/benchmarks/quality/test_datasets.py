"""The datasets of the quality benchmark as the command line names them, and smaller train splits."""

from dataclasses import replace

import pytest

from slipway.dataset.annotations import AnnotatedImage
from slipway.dataset.boxes import ImageSize
from tests.benchmarks.quality.datasets import Dataset, choose, parse_dataset, source_folder, write_smaller_source

from services.ingest.formats.voc import parse_voc

IMAGES = [AnnotatedImage(f"{n}.jpg", n, "", "jpeg", ImageSize(8, 8), ()) for n in range(1, 101)]


def test_a_folder_has_its_options_behind_commas(tmp_path):
    dataset = parse_dataset(f"raccoon45={tmp_path},train=45,test-ratio=0.2")
    assert dataset == Dataset("raccoon45", tmp_path, test_ratio=0.2, train_images=45)
    assert dataset.options == ["--test-ratio", "0.2"]


def test_the_harbour_is_drawn():
    assert parse_dataset("small=harbour,images=60") == Dataset("small", images=60)
    assert parse_dataset("harbour=harbour").options == []


@pytest.mark.parametrize("text", ["bccd", "=harbour", "bccd=", "harbour=harbour,pictures=60"])
def test_another_form_is_refused(text):
    with pytest.raises(ValueError, match="expected NAME=FOLDER or NAME=harbour"):
        parse_dataset(text)


def test_a_folder_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(ValueError, match="none is not a folder"):
        parse_dataset(f"bccd={tmp_path}/none")


def test_the_harbour_is_drawn_once(tmp_path):
    folder = source_folder(Dataset("small", images=2), tmp_path)
    images = {path: path.stat().st_mtime_ns for path in (folder / "images").iterdir()}
    assert len(images) == 2
    assert source_folder(Dataset("again", images=2), tmp_path) == folder
    assert {path: path.stat().st_mtime_ns for path in (folder / "images").iterdir()} == images


def test_the_choice_depends_on_the_seed_and_a_larger_one_contains_it():
    chosen = choose(IMAGES, 10, seed=1)
    assert len(chosen) == 10
    assert choose(IMAGES[::-1], 10, seed=1) == chosen
    assert choose(IMAGES, 10, seed=2) != chosen
    assert choose(IMAGES, 20, seed=1)[:10] == chosen


def test_more_images_than_there_are_are_refused():
    with pytest.raises(ValueError, match="train=101: the train split has only 100 images"):
        choose(IMAGES, 101, seed=0)


def test_a_smaller_source_has_the_same_test_images_and_boxes(prepared, tmp_path):
    write_smaller_source(prepared.inputs, prepared.store, 1, tmp_path / "small")
    assert len(list((tmp_path / "small/train").glob("*.xml"))) == 1
    assert (tmp_path / "small/test/000003.jpg").read_bytes() == b"c.jpg"
    annotation = parse_voc((tmp_path / "small/test/000003.xml").read_bytes(), "")
    (image,) = prepared.inputs.annotated_images(prepared.store, "test")
    assert (annotation.filename, annotation.size, annotation.boxes) == ("000003.jpg", image.size, image.boxes)


def test_a_smaller_source_keeps_the_flags_of_a_box(prepared, tmp_path):
    write_smaller_source(prepared.inputs, prepared.store, 2, tmp_path / "small")
    _, swan = parse_voc((tmp_path / "small/train/000001.xml").read_bytes(), "").boxes
    assert swan == replace(swan, truncated=True, difficult=False)
