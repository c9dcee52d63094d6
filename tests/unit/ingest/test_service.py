"""The stage as a whole: a drawn folder in, a dataset and its records out."""

import hashlib
import json
import os
import shutil
import subprocess
import sys

import pytest
from PIL import Image

from slipway import keys
from slipway.artifacts.dataset import DataReport, DatasetManifest, Faults, IngestResult
from slipway.artifacts.json_io import read_document
from slipway.artifacts.records import PreprocessResult
from slipway.dataset import annotations
from slipway.dataset.labels import LabelMap
from slipway.dataset.source_folder import source_digest
from slipway.errors import InputError
from slipway.metrics import registry, stage_gauges
from slipway.run.plan import Plan
from slipway.run.spec import TrainingRun
from slipway.stage.runner import StageParams
from slipway.store.folder import FolderStore
from slipway.store.interface import list_keys
from tests.fakes.checkpoints import preset_modules, write_checkpoint
from tests.fakes.pipeline_configs import SSD_CONFIG

from services.ingest.service import ingest
from services.preprocess.service import preprocess

BOX = (
    "<object><name>{label}</name>"
    "<bndbox><xmin>{0}</xmin><ymin>5</ymin><xmax>{1}</xmax><ymax>25</ymax></bndbox></object>"
)


def draw(folder, number, label="ship", box=(10, 30), size=(64, 48)):
    """One picture, different for each number, with its XML beside it; no object when the label is empty."""
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (number * 7 % 256, number // 37, 99)).save(folder / f"{number}.jpg")
    objects = BOX.format(*box, label=label) if label else ""
    width, height = size
    (folder / f"{number}.xml").write_text(
        f"<annotation><filename>{number}.jpg</filename>"
        f"<size><width>{width}</width><height>{height}</height></size>{objects}</annotation>"
    )


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source" / "Harbour Photos"
    for number in range(30):
        draw(folder, number, ["ship", "buoy", ""][number % 3])
    return folder


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path / "store")


def params(tmp_path, source, name="r", index=0, **spec):
    spec.setdefault("dataset", {"source": str(source)})
    scratch = tmp_path / "scratch"
    scratch.mkdir(exist_ok=True)
    run = TrainingRun.model_validate({"metadata": {"name": name}, "spec": spec})
    return StageParams(run, index, scratch)


def dataset_of(store, name="r"):
    return read_document(store, keys.result(name, "ingest"), IngestResult).dataset


def all_images(store, dataset):
    manifest = read_document(store, keys.manifest(dataset), DatasetManifest)
    return {
        split: [image for key in manifest.annotation_keys(split) for image in annotations.parse(store.read(key))]
        for split in manifest.splits
    }


def digests(store, prefix):
    return {file.key: hashlib.sha256(store.read(file.key)).hexdigest() for file in store.scan(prefix)}


def test_folder_becomes_a_dataset_named_after_it(tmp_path, source, store):
    result = ingest(params(tmp_path, source), store)
    assert result.dataset.startswith("datasets/harbour-photos/")
    manifest = read_document(store, keys.manifest(result.dataset), DatasetManifest)
    assert manifest.labels == ("buoy", "ship")
    assert {split: counts.images for split, counts in manifest.splits.items()} == {"train": 27, "test": 3}
    assert manifest.median_size == (64, 48)
    images = all_images(store, result.dataset)
    assert sorted(i.source_id for split in images.values() for i in split) == list(range(1, 31))
    for image in images["test"]:
        content = store.read(keys.blob(image.sha256))
        assert content == (source / image.filename).read_bytes()


def test_a_share_of_train_leaves_test_and_labels_as_they_are_and_stores_no_image_again(tmp_path, source, store):
    whole = ingest(params(tmp_path, source, ingest={"val_ratio": 0.1}), store)
    blobs = digests(store, "blobs")
    half = ingest(params(tmp_path, source, "s", ingest={"val_ratio": 0.1, "train_share": 0.5}), store)
    assert {split: counts.images for split, counts in half.splits.items()} == {"train": 12, "val": 3, "test": 3}
    assert half.labels == whole.labels
    names = {
        split: [[image.filename for image in all_images(store, result.dataset)[split]] for result in (whole, half)]
        for split in ("train", "val", "test")
    }
    assert names["test"][0] == names["test"][1]
    assert names["val"][0] == names["val"][1]
    assert set(names["train"][1]) < set(names["train"][0])
    assert half.notes[-1] == "12 of the 24 images of train are used: a share of 0.5, stratified by class."
    assert digests(store, "blobs") == blobs


def test_users_files_stay_as_they_are(tmp_path, source, store):
    digest = source_digest(FolderStore(source))
    ingest(params(tmp_path, source), store)
    assert source_digest(FolderStore(source)) == digest


def test_same_files_elsewhere_are_the_same_dataset(tmp_path, source, store):
    copy = tmp_path / "elsewhere" / "Harbour Photos"
    shutil.copytree(source, copy)
    one = ingest(params(tmp_path, source), store).dataset
    other = ingest(params(tmp_path, copy, name="s"), store).dataset
    assert one == other


def test_dataset_that_is_there_is_taken_up_by_its_digest(tmp_path, source, store):
    dataset = ingest(params(tmp_path, source), store).dataset
    name, sha = dataset.split("/")[1:]
    shutil.rmtree(source)
    assert ingest(params(tmp_path, source, "s", dataset={"ref": f"{name}@{sha}"}), store).dataset == dataset
    with pytest.raises(InputError, match="not in the store"):
        ingest(params(tmp_path, source, "t", dataset={"ref": f"{name}@{'0' * 64}"}), store)


def test_what_was_found_in_a_dataset_is_told_of_every_run_that_takes_it_up(tmp_path, source, store):
    (source / "1.jpg").unlink()
    name, sha = ingest(params(tmp_path, source, ingest={"invalid": "drop"}), store).dataset.split("/")[1:]
    labels = {"code": "image_missing", "severity": "error"}
    stage_gauges.DATASET_FINDINGS.set(0, **labels)
    ingest(params(tmp_path, source, "s", dataset={"ref": f"{name}@{sha}"}), store)
    assert registry.STAGE.get_sample_value("slipway_dataset_findings", labels) == 1


def test_folder_that_changed_since_it_was_asked_for_is_refused(tmp_path, source, store):
    digest = source_digest(FolderStore(source))
    draw(source, 31)
    with pytest.raises(InputError, match="files changed since this run was asked for"):
        ingest(params(tmp_path, source, dataset={"source": str(source), "sha256": digest}), store)


def test_every_fault_is_found_before_the_run_is_refused(tmp_path, source, store):
    draw(source, 40, box=(10, 90))
    (source / "0.xml").write_text("<annotation><object>")
    (source / "1.jpg").unlink()
    (source / "2.jpg").write_bytes(b"")
    with pytest.raises(InputError, match="4 faults in the annotations") as error_info:
        ingest(params(tmp_path, source), store)
    message = str(error_info.value)
    for words in ("0.xml: line 1", "1.xml: names the image", "2.jpg: is empty", "ends at x=90, image width is 64"):
        assert words in message
    assert "--invalid drop" in message
    assert {finding.code for finding in read_document(store, keys.faults("r"), Faults).root} == {
        "xml_malformed",
        "image_missing",
        "image_unreadable",
        "box_outside",
    }
    assert not list(list_keys(store, "datasets"))


def test_drop_leaves_out_what_cannot_be_used_and_counts_it(tmp_path, source, store):
    draw(source, 40, box=(10, 90))
    (source / "1.jpg").unlink()
    result = ingest(params(tmp_path, source, ingest={"invalid": "drop"}), store)
    assert result.counts == {"box_outside": 1, "image_missing": 1}
    assert sum(split.images for split in result.splits.values()) == 30


def test_dropping_everything_is_refused_without_proposing_it_again(tmp_path, store):
    source = tmp_path / "broken"
    draw(source, 1)
    (source / "1.jpg").write_bytes(b"")
    with pytest.raises(InputError, match=r"1\.jpg: is empty.* no image is left") as error_info:
        ingest(params(tmp_path, source, ingest={"invalid": "drop"}), store)
    assert "--invalid" not in str(error_info.value)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ([], "no such folder, or nothing in it"),
        (["notes.txt"], "no annotated image among its 1 files; expected images with labelImg's .xml beside them"),
        (["a.jpg", "b.JPG"], "2 images, but no annotation .* draw boxes with labelImg first"),
    ],
    ids=["nothing", "no-image", "no-annotation"],
)
def test_folder_without_annotated_images_says_what_is_there(tmp_path, store, files, says):
    source = tmp_path / "folder"
    for name in files:
        source.mkdir(exist_ok=True)
        (source / name).write_bytes(b"x")
    with pytest.raises(InputError, match=says):
        ingest(params(tmp_path, source), store)


@pytest.mark.parametrize("ingest_spec", [{}, {"labelMap": "item { id: 1 name: 'ship' }"}], ids=["drawn", "given"])
def test_images_without_any_box_are_refused(tmp_path, store, ingest_spec):
    source = tmp_path / "folder"
    for number in range(4):
        draw(source, number, label="")
    with pytest.raises(InputError, match="no image has a box that can be used"):
        ingest(params(tmp_path, source, ingest=ingest_spec), store)


def test_images_without_xml_are_counted_and_left_out(tmp_path, source, store):
    (source / "3.xml").unlink()
    result = ingest(params(tmp_path, source), store)
    assert result.counts == {"no_annotation": 1}
    assert sum(split.images for split in result.splits.values()) == 29


def test_two_annotations_of_one_image_are_refused(tmp_path, source, store):
    (source / "again").mkdir()
    shutil.copy(source / "3.xml", source / "again" / "3.xml")
    with pytest.raises(InputError, match=r"again/3\.xml: is of 3\.jpg, and so is 3\.xml"):
        ingest(params(tmp_path, source), store)


def test_annotation_beside_the_image_is_the_one_that_counts(tmp_path, source, store):
    (source / "0 earlier").mkdir()
    stray_xml = (source / "3.xml").read_text().replace("ship", "buoy")
    (source / "0 earlier" / "3.xml").write_text(stray_xml)
    with pytest.raises(InputError, match=r"0 earlier/3\.xml: is of 3\.jpg, and so is 3\.xml"):
        ingest(params(tmp_path, source), store)
    result = ingest(params(tmp_path, source, "s", ingest={"invalid": "drop"}), store)
    assert result.counts == {"annotated_twice": 1}
    (image,) = (i for split in all_images(store, result.dataset).values() for i in split if i.filename == "3.jpg")
    assert [labeled_box.label for labeled_box in image.boxes] == ["ship"]


def test_image_of_another_class_is_not_taken_for_one_that_is_missing(tmp_path, store):
    source = tmp_path / "pets"
    for number in range(8):
        label = "dog" if number in (0, 1, 2, 3, 5) else "cat"
        draw(source / "images" / f"{label}s", number, label)
        (source / "annotations" / f"{label}s").mkdir(parents=True, exist_ok=True)
        xml = source / "images" / f"{label}s" / f"{number}.xml"
        xml.rename(source / "annotations" / f"{label}s" / f"{number}.xml")
    (source / "images" / "dogs" / "5.jpg").rename(source / "images" / "cats" / "5.jpg")
    with pytest.raises(InputError, match=r"images/cats/5\.jpg belongs to another folder"):
        ingest(params(tmp_path, source), store)
    result = ingest(params(tmp_path, source, "s", ingest={"invalid": "drop"}), store)
    assert result.counts["image_missing"] == result.counts["no_annotation"] == 1
    names = {image.filename for split in all_images(store, result.dataset).values() for image in split}
    assert names == {f"images/{label}s/{n}.jpg" for label, ns in {"dog": "0123", "cat": "467"}.items() for n in ns}


def test_split_folders_are_kept_and_a_ratio_sets_them_aside(tmp_path, store):
    source = tmp_path / "split"
    for number in range(20):
        draw(source / ("train" if number < 12 else "test"), number)
    result = ingest(params(tmp_path, source), store)
    assert {split: counts.images for split, counts in result.splits.items()} == {"train": 12, "test": 8}
    assert result.notes == ("The split is the source's own, from the folders it came in.",)
    ratio_result = ingest(params(tmp_path, source, "s", ingest={"testRatio": 0.2}), store)
    assert {split: counts.images for split, counts in ratio_result.splits.items()} == {"train": 16, "test": 4}
    assert "was set aside" in ratio_result.notes[0]


def test_val_is_called_test_where_there_is_no_test(tmp_path, store):
    source = tmp_path / "split"
    for number in range(6):
        draw(source / ("train" if number < 4 else "valid"), number)
    result = ingest(params(tmp_path, source), store)
    assert {split: counts.images for split, counts in result.splits.items()} == {"train": 4, "test": 2}
    assert result.notes[1] == "It has no test split, so its val split is the test split here."


def test_tutorials_folder_of_images_and_copies_of_them_in_split_folders(tmp_path, store):
    source = tmp_path / "workspace"
    for number in range(10):
        draw(source / "images", number)
        draw(source / "images" / ("train" if number < 8 else "test"), number)
    result = ingest(params(tmp_path, source), store)
    assert {split: counts.images for split, counts in result.splits.items()} == {"train": 8, "test": 2}
    assert result.counts == {"original_of_copy": 1}
    report = read_document(store, keys.data_report(result.dataset, "json"), DataReport)
    assert str(report.findings[0]) == (
        "images/0.xml: is in none of the source's splits, like 9 more, but an image of the same bytes is; "
        "left out; its copy is used"
    )


def test_image_in_two_lists_is_refused_unless_the_lists_are_set_aside(tmp_path, source, store):
    lists = source / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("\n".join(str(n) for n in range(25)))
    (lists / "test.txt").write_text("\n".join(str(n) for n in range(24, 30)))
    with pytest.raises(InputError, match=r"24\.xml: is in ImageSets/Main/test\.txt and in ImageSets/Main/train\.txt"):
        ingest(params(tmp_path, source), store)
    dropping_result = ingest(params(tmp_path, source, "s", ingest={"invalid": "drop"}), store)
    assert dropping_result.counts == {"image_in_no_split": 1, "split_overlap": 1}
    ratio_result = ingest(params(tmp_path, source, "t", ingest={"testRatio": 0.1}), store)
    assert ratio_result.counts == {}


def test_lists_that_name_none_of_the_images_are_not_passed_over(tmp_path, source, store):
    lists = source / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("x\ny")
    (lists / "test.txt").write_text("z")
    with pytest.raises(InputError, match="from ImageSets/Main, has no usable image in train"):
        ingest(params(tmp_path, source), store)


def test_image_in_no_list_is_left_out_and_counted(tmp_path, source, store):
    lists = source / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("\n".join(str(n) for n in range(20)))
    (lists / "test.txt").write_text("\n".join(str(n) for n in range(20, 28)))
    result = ingest(params(tmp_path, source), store)
    assert result.counts == {"image_in_no_split": 2}
    assert {split: counts.images for split, counts in result.splits.items()} == {"train": 20, "test": 8}


def test_label_map_in_the_source_decides_the_class_ids(tmp_path, source, store):
    (source / "map.pbtxt").write_text("item { id: 1 name: 'ship' }\nitem { id: 2 name: 'buoy' }")
    result = ingest(params(tmp_path, source, ingest={"labelMap": "map.pbtxt"}), store)
    assert result.labels == ("ship", "buoy")
    with pytest.raises(InputError, match=r"label map other\.pbtxt: not in"):
        ingest(params(tmp_path, source, "s", ingest={"labelMap": "other.pbtxt"}), store)


def test_label_map_of_a_finished_workspace_is_used_and_named_unless_one_is_given(tmp_path, source, store):
    (source / "annotations").mkdir()
    (source / "annotations" / "label_map.pbtxt").write_text(
        "item {\n    id: 1\n    name: 'ship'\n}\nitem {\n    id: 2\n    name: 'buoy'\n}\n"
    )
    result = ingest(params(tmp_path, source), store)
    assert result.labels == ("ship", "buoy")
    assert result.notes[-1] == "label map: annotations/label_map.pbtxt (2 labels)"
    given_result = ingest(params(tmp_path, source, "s", ingest={"labelMap": LabelMap(("buoy", "ship")).dump()}), store)
    assert given_result.labels == ("buoy", "ship")
    assert not any("label map" in note for note in given_result.notes)


def test_label_map_that_lacks_a_label_is_reported_and_not_used(tmp_path, source, store):
    (source / "label_map.pbtxt").write_text("item { id: 1 name: 'ship' } item { id: 2 name: 'Buoy' }")
    result = ingest(params(tmp_path, source), store)
    assert (result.labels, result.counts) == (("buoy", "ship"), {"label_map_not_used": 1})


def test_label_maps_of_a_source_that_differ_stop_the_run(tmp_path, source, store):
    for name, labels in {"a": ("ship", "buoy"), "b": ("buoy", "ship")}.items():
        (source / f"{name}.pbtxt").write_text(LabelMap(labels).dump())
    with pytest.raises(InputError, match=r"a\.pbtxt: and b\.pbtxt number the same labels differently"):
        ingest(params(tmp_path, source), store)


@pytest.mark.parametrize("invalid", ["drop", "fail"])
def test_refused_labels_are_named_before_their_consequence(tmp_path, source, store, invalid):
    label_map = "item { id: 1 name: 'Ship' } item { id: 2 name: 'Buoy' }"
    with pytest.raises(InputError) as error_info:
        ingest(params(tmp_path, source, ingest={"invalid": invalid, "labelMap": label_map}), store)
    lines = str(error_info.value).splitlines()
    assert lines[0] == "20 faults in the annotations:"
    assert lines[1].startswith("  0.xml: object 0 ('ship') has a label that the label map lacks; it has Ship, Buoy")
    assert "no image has a box" not in "\n".join(lines[:-1])
    if invalid == "drop":
        assert lines[-1] == "so no image has a box that can be used"
    assert len(read_document(store, keys.faults("r"), Faults).root) == 20


def test_boxes_that_were_all_dropped_are_named_before_the_consequence(tmp_path, store):
    source = tmp_path / "folder"
    for number in range(4):
        draw(source, number, box=(10, 10))
    with pytest.raises(
        InputError, match=r"(?s)\A4 faults .*is 0 × 20 pixels.*\nso no image has a box that can be used"
    ):
        ingest(params(tmp_path, source), store)


def test_renumbered_images_are_named_before_there_are_too_few_of_them(tmp_path, store):
    source = tmp_path / "renumbered"
    for number in range(1, 7):
        draw(source, number)
        xml = (source / f"{number}.xml").read_text().replace(f"{number}.jpg", f"{number - 1}.jpg")
        (source / f"{number}.xml").write_text(xml)
    with pytest.raises(InputError) as error_info:
        ingest(params(tmp_path, source, ingest={"invalid": "drop"}), store)
    lines = str(error_info.value).splitlines()
    assert lines[0] == "5 faults in the annotations:"
    assert "2.xml: names the image '1.jpg', which can be 1.jpg or 2.jpg" in lines[1]
    assert lines[-1] == "so 1 different image cannot be divided into train, test"


def test_split_whose_images_are_all_refused_is_the_consequence(tmp_path, store):
    source = tmp_path / "split"
    for number in range(6):
        draw(source / ("train" if number < 4 else "test"), number)
    for number in (4, 5):
        (source / "test" / f"{number}.jpg").write_bytes(b"")
    with pytest.raises(InputError) as error_info:
        ingest(params(tmp_path, source, ingest={"invalid": "drop"}), store)
    lines = str(error_info.value).splitlines()
    assert "test/4.jpg: is empty" in lines[1]
    assert lines[-1] == "so the source's own split, from the folders it came in, has no usable image in test"


@pytest.mark.parametrize("entry", ["link", "folder"])
def test_entry_that_is_no_file_is_named_and_hangs_nothing(tmp_path, source, store, entry):
    if entry == "link":
        (source / "gone.xml").symlink_to(tmp_path / "nowhere.xml")
        with pytest.raises(InputError, match=r"gone\.xml"):
            ingest(params(tmp_path, source), store)
    else:
        (source / "folder.xml").mkdir()
        assert ingest(params(tmp_path, source), store).counts == {}


def test_link_to_a_folder_above_does_not_loop(tmp_path, source, store):
    (source / "loop").symlink_to(source)
    with pytest.raises(InputError, match="symbolic links"):
        ingest(params(tmp_path, source), store)


@pytest.mark.skipif(os.name != "posix", reason="names of bytes are Unix's")
def test_name_that_is_no_unicode_is_taken_as_it_is(tmp_path, source, store):
    for suffix in ("jpg", "xml"):
        (source / f"3.{suffix}").rename(source / os.fsdecode(b"caf\xe9." + suffix.encode()))
    result = ingest(params(tmp_path, source), store)
    assert sum(split.images for split in result.splits.values()) == 30
    preprocess(params(tmp_path, source, preprocess={"workers": 1}), store)
    tables = [store.read(key) for key in list_keys(store) if key.endswith(".csv")]
    assert sum(b"caf\xe9.jpg" in table for table in tables) == 1


def test_findings_are_in_the_report_by_file_and_object(tmp_path, source, store):
    draw(source, 40, box=(10, 10))
    dataset = ingest(params(tmp_path, source), store).dataset
    (finding,) = read_document(store, keys.data_report(dataset, "json"), DataReport).findings
    assert (finding.file, finding.object, finding.code) == ("40.xml", 0, "box_empty")
    assert "40.xml" in store.read(keys.data_report(dataset, "html")).decode()


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_records_are_the_same_however_many_workers_make_them(tmp_path, source, store, workers):
    ingest(params(tmp_path, source), store)
    spec = {"preprocess": {"workers": workers}}
    for index in reversed(range(workers)):
        preprocess(params(tmp_path, source, index=index, **spec), store)
    result = read_document(store, keys.result("r", "preprocess"), PreprocessResult)
    reference = FolderStore(tmp_path / "reference")
    ingest(params(tmp_path, source), reference)
    preprocess(params(tmp_path, source, preprocess={"workers": 1}), reference)
    assert digests(store, result.records) == digests(reference, result.records)
    assert result.splits["train"].images == 27


def test_damaged_blob_stops_the_records(tmp_path, source, store):
    dataset = ingest(params(tmp_path, source), store).dataset
    image = all_images(store, dataset)["train"][0]
    store.write(keys.blob(image.sha256), b"damaged")
    with pytest.raises(InputError, match=f"bytes of {image.filename} have digest"):
        preprocess(params(tmp_path, source, preprocess={"workers": 1}), store)


def test_neither_stage_needs_tensorflow():
    script = (
        "import sys, services.ingest.service, services.preprocess.service\n"
        "found = {'tensorflow', 'tf_keras', 'official'} & set(sys.modules)\n"
        "assert not found, found"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_lines_of_a_dataset_are_json(tmp_path, source, store):
    dataset = ingest(params(tmp_path, source), store).dataset
    first = store.read(keys.annotations(dataset, "train", 0, 2)).splitlines()[0]
    assert set(json.loads(first)) == {"filename", "source_id", "sha256", "format", "size", "boxes"}


def test_image_of_a_malformed_annotation_is_not_called_unannotated(tmp_path, source, store):
    (source / "0.xml").write_text("<annotation>")
    result = ingest(params(tmp_path, source, ingest={"invalid": "drop"}), store)
    assert result.counts == {"xml_malformed": 1}


def test_wrong_weights_end_the_run_before_an_image_is_read(tmp_path, store):
    with pytest.raises(InputError, match=r"initial checkpoint run:ponds: the store .* has no run ponds"):
        ingest(params(tmp_path, tmp_path / "absent", train={"initialCheckpoint": "run:ponds"}), store)
    assert list(list_keys(store, "runs")) == []


def test_weights_are_in_the_plan_with_their_digest(tmp_path, source, store):
    preset = "retinanet_resnet10_320"
    write_checkpoint(tmp_path / "ckpt-5", preset_modules(preset))
    ingest(params(tmp_path, source, train={"preset": preset, "initialCheckpoint": str(tmp_path / "ckpt-5")}), store)
    plan = Plan.parse(store.read(keys.plan("r")))
    assert store.stat(f"checkpoints/initial/{plan.initial_checkpoint_sha256}/ckpt-5.index")
    assert plan.initial_checkpoint_modules == ("backbone",)
    assert plan.reasons["initial_checkpoint_modules"] == "the preset's"


def test_weights_of_a_run_that_only_ingests_are_not_fetched(tmp_path, source, store):
    ingest(params(tmp_path, source, until="ingest", train={"initialCheckpoint": "run:ponds"}), store)
    assert Plan.parse(store.read(keys.plan("r"))).initial_checkpoint_sha256 is None


def write_config(source, num_steps):
    (source / "training").mkdir()
    (source / "training/ssd.config").write_text(SSD_CONFIG.replace("200000", str(num_steps)))


def steps_of(store):
    choice = Plan.parse(store.read(keys.plan("r"))).choices["steps"]
    return choice.value, choice.reason


def test_num_steps_of_a_pipeline_config_do_not_lengthen_the_training(tmp_path, source, store):
    write_config(source, 200000)
    result = ingest(params(tmp_path, source), store)
    steps, reason = steps_of(store)
    assert steps < 200000 and "epochs" in reason
    row = next(row for row in result.pipeline_config.fields if row.field == "train_config.num_steps")
    assert (row.value, row.outcome_text) == ("200000", f"replaced by {steps}")


def test_fewer_num_steps_than_the_plan_has_are_taken_over(tmp_path, source, store):
    write_config(source, 40)
    result = ingest(params(tmp_path, source), store)
    steps, reason = steps_of(store)
    assert steps == 40 and reason.startswith("num_steps of training/ssd.config, fewer than the ")
    row = next(row for row in result.pipeline_config.fields if row.field == "train_config.num_steps")
    assert row.outcome_text == "taken over"


def test_steps_that_the_run_asks_for_win_over_a_pipeline_config(tmp_path, source, store):
    write_config(source, 40)
    ingest(params(tmp_path, source, train={"steps": 70}), store)
    assert steps_of(store) == (70, "as asked")


def test_a_pipeline_config_changes_nothing_in_the_dataset(tmp_path, source, store):
    dataset = ingest(params(tmp_path, source), store).dataset
    write_config(source, 40)
    assert ingest(params(tmp_path, source, name="s"), store).dataset == dataset


def test_a_source_without_a_pipeline_config_has_none_compared(tmp_path, source, store):
    assert ingest(params(tmp_path, source), store).pipeline_config is None


def test_a_checkpoint_in_the_source_that_fits_the_preset_is_trained_from(tmp_path, source, store):
    (source / "pre-trained-model").mkdir()
    write_checkpoint(source / "pre-trained-model/ckpt-5", preset_modules("retinanet_resnet10_320"))
    result = ingest(params(tmp_path, source, train={"preset": "retinanet_resnet10_320"}), store)
    plan = Plan.parse(store.read(keys.plan("r")))
    assert plan.initial_checkpoint == f"{source}/pre-trained-model/ckpt-5"
    assert plan.reasons["initial_checkpoint"] == "in the source, and fits the preset"
    assert store.stat(f"checkpoints/initial/{plan.initial_checkpoint_sha256}/ckpt-5.index")
    assert result.notes[-1] == "The training begins from pre-trained-model/ckpt-5, which fits retinanet_resnet10_320."


def test_a_checkpoint_in_the_source_that_does_not_fit_is_named_with_the_reason(tmp_path, source, store):
    (source / "pre-trained-model").mkdir()
    (source / "pre-trained-model/model.ckpt.index").write_bytes(b"a table of TensorFlow 1" * 9)
    (source / "pre-trained-model/model.ckpt.data-00000-of-00001").write_bytes(b"weights")
    result = ingest(params(tmp_path, source), store)
    plan = Plan.parse(store.read(keys.plan("r")))
    assert (plan.initial_checkpoint, plan.reasons["initial_checkpoint"]) == (
        "imagenet-efficientnet-lite0",
        "the preset's",
    )
    assert result.notes[-1].startswith("pre-trained-model/model.ckpt is not trained from: ")


def test_weights_that_the_run_asks_for_win_over_a_checkpoint_in_the_source(tmp_path, source, store):
    (source / "pre-trained-model").mkdir()
    write_checkpoint(source / "pre-trained-model/ckpt-5", preset_modules("retinanet_resnet10_320"))
    ingest(params(tmp_path, source, train={"initialCheckpoint": "scratch"}), store)
    assert Plan.parse(store.read(keys.plan("r"))).initial_checkpoint is None
