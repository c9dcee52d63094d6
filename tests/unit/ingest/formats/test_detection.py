"""The format of a source: recognized by content, and chosen by the user where there are several."""

import json

import pytest

from slipway.errors import InputError
from slipway.run.spec import TrainingRun
from slipway.stage.runner import StageParams
from slipway.store.folder import FolderStore
from tests.fakes.annotation_files import (
    coco_document,
    draw,
    drawn_images,
    write_coco,
    write_csv,
    write_voc,
    write_yolo,
)

from services.ingest.formats.detection import detect_formats
from services.ingest.formats.source_file import SourceFile
from services.ingest.service import ingest


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "drawn"
    draw(folder, drawn_images())
    return folder


@pytest.fixture
def run_ingest(tmp_path, source):
    def run_ingest(**fields):
        spec = {"dataset": {"source": str(source)}, "ingest": fields}
        run = TrainingRun.model_validate({"metadata": {"name": "r"}, "spec": spec})
        return ingest(StageParams(run, 0, tmp_path), FolderStore(tmp_path / "store"))

    return run_ingest


def test_two_formats_are_refused_with_their_files_and_the_option_that_chooses(source, run_ingest):
    write_voc(source, drawn_images())
    write_coco(source, drawn_images())
    with pytest.raises(InputError) as raised:
        run_ingest()
    assert str(raised.value) == (
        "the annotations are in 2 formats: Pascal VOC XML (12 files, test/view-01.xml first), "
        "COCO JSON (2 files, test/_annotations.coco.json first); choose with --format voc or --format coco"
    )


@pytest.mark.parametrize(("format", "other"), [("voc", "COCO JSON"), ("coco", "Pascal VOC XML")])
def test_the_named_format_is_read_and_the_other_is_counted(source, run_ingest, format, other):
    write_voc(source, drawn_images())
    write_coco(source, drawn_images())
    result = run_ingest(format=format)
    assert result.counts == {"format_not_used": 1}
    assert {split: counts.images for split, counts in result.splits.items()} == {"train": 8, "test": 4}
    assert any("COCO JSON" in note for note in result.notes) == (format == "coco")


def test_a_named_format_that_is_absent_is_refused_with_those_that_are_present(source, run_ingest):
    write_coco(source, drawn_images())
    with pytest.raises(InputError, match="--format voc: no file of the source is Pascal VOC XML; it has COCO JSON"):
        run_ingest(format="voc")


def test_format_is_recognized_by_content_and_not_by_name(source, run_ingest):
    (source / "export").write_text("{}")
    (source / "package.json").write_text('{"name": "viewer"}')
    (source / "labels.json").write_text(json.dumps(coco_document(drawn_images())))
    result = run_ingest()
    assert sum(counts.images for counts in result.splits.values()) == 12
    assert result.notes[0] == "The annotations are COCO JSON, from labels.json."


def test_damaged_file_beside_a_whole_one_is_an_error(source, run_ingest):
    write_coco(source, drawn_images())
    file = source / "test" / "_annotations.coco.json"
    file.write_text(file.read_text()[:-9])
    with pytest.raises(InputError, match=r"^test/_annotations.coco.json: line 1, column \d+: cannot be parsed as JSON"):
        run_ingest()


def test_damaged_file_alone_is_named(source, run_ingest):
    (source / "labels.json").write_text('{"images": [')
    with pytest.raises(InputError, match=r"labels.json line 1, column 13: cannot be parsed as JSON"):
        run_ingest()


def test_xml_of_another_kind_is_an_error_where_there_is_nothing_else(source, run_ingest):
    (source / "pom.xml").write_text("<project/>")
    with pytest.raises(InputError, match=r"^pom.xml: the root is <project>, expected <annotation>"):
        run_ingest()


def test_xml_of_another_kind_is_passed_over_where_the_annotations_are_json(source, run_ingest):
    write_coco(source, drawn_images())
    (source / "pom.xml").write_text("<project/>")
    assert run_ingest().counts == {}


def test_image_listed_under_two_ids_is_annotated_twice(source, run_ingest):
    document = coco_document(drawn_images())
    document["images"].append({"id": 9999, "file_name": "view-03.jpg"})
    (source / "labels.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match=r"labels.json#view-03.jpg \(2\): is of train/view-03.jpg, and so is"):
        run_ingest()


def test_file_names_give_the_split_where_the_folders_do_not(tmp_path, source, run_ingest):
    images = drawn_images()
    (source / "pictures").mkdir()
    (source / "annotations").mkdir()
    for image in images:
        (source / image.key).rename(source / "pictures" / f"{image.name}.jpg")
    for split, name in (("train", "instances_train2017.json"), ("test", "instances_test2017.json")):
        document = coco_document([image for image in images if image.split == split])
        (source / "annotations" / name).write_text(json.dumps(document))
    result = run_ingest()
    assert {split: counts.images for split, counts in result.splits.items()} == {"train": 8, "test": 4}
    assert "The split is the source's own, from the annotations." in result.notes


def test_a_table_beside_the_annotations_that_it_is_made_from_is_not_read(source, run_ingest):
    write_voc(source, drawn_images())
    write_csv(source, drawn_images())
    assert run_ingest().counts == {"format_not_used": 1}
    assert run_ingest(format="csv").notes[0].startswith("The annotations are the tutorial's CSV, from 2 files, ")


def test_empty_label_files_belong_to_their_neighbours(source, run_ingest):
    """Also behind the files that are read to recognize the format, and where a file cannot be read as one of it."""
    write_yolo(source, drawn_images())
    (source / "README.txt").write_text("Drawn.")
    assert sum(counts.images for counts in run_ingest().splits.values()) == 12
    (source / "train" / "labels" / "view-02.txt").write_text("0 0.5 0.5 ship")
    with pytest.raises(InputError, match=r"^train/labels/view-02.txt: line 1 is '0 0.5 0.5 ship', expected a class id"):
        run_ingest()


def test_an_object_that_cannot_be_used_takes_no_other_with_it(source, run_ingest):
    document = coco_document(drawn_images())
    document["annotations"].insert(0, {"image_id": 17, "category_id": 404, "bbox": [1, 1, 5, 5]})
    (source / "labels.json").write_text(json.dumps(document))
    result = run_ingest(invalid="drop")
    assert result.counts["label_missing"] == 1
    assert sum(counts.boxes for counts in result.splits.values()) == len(document["annotations"]) - 1


@pytest.mark.parametrize("has_image", [True, False])
def test_of_many_files_only_a_sample_is_read_to_recognize_their_format(tmp_path, monkeypatch, has_image):
    for number in range(100):
        (tmp_path / f"{number:03}.xml").write_text("<annotation/>")
    source = FolderStore(tmp_path)
    keys_read = []
    stream = source.stream
    monkeypatch.setattr(source, "stream", lambda key, *range: keys_read.append(key) or stream(key, *range))
    detected = detect_formats(SourceFile(f"{number:03}.xml", source, has_image) for number in range(100))
    assert len(detected.files["voc"]) == 100
    assert len(keys_read) == 32
