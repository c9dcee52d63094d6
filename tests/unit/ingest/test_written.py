"""Tests of the keys that ingest writes for the harbour dataset, and of their order."""

import hashlib
import json
import shutil

import pytest

from slipway import keys
from slipway.artifacts.dataset import DatasetManifest
from slipway.artifacts.json_io import read_document
from slipway.dataset import annotations
from slipway.dataset.labels import LabelMap
from slipway.errors import InputError
from slipway.run.spec import TrainingRun
from slipway.stage.runner import StageParams
from slipway.store.folder import FolderStore
from slipway.store.interface import list_keys
from tests.fakes.harbour import draw

from services.ingest.service import ingest


class WatchedStore(FolderStore):
    """A folder that remembers in which order its keys were written."""

    def __init__(self, root):
        super().__init__(root)
        self.written = []

    def write(self, key, content):
        super().write(key, content)
        self.written.append(key)


@pytest.fixture(scope="module")
def harbour(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn") / "Port of Möwe (2)"
    draw(folder, 24, seed=5)
    return folder


@pytest.fixture
def store(tmp_path):
    return WatchedStore(tmp_path / "store")


@pytest.fixture
def run_ingest(tmp_path, store):
    def run_ingest(source, name="r", target=store, **spec):
        fields = {"dataset": {"source": str(source)}} | spec
        run = TrainingRun.model_validate({"metadata": {"name": name}, "spec": fields})
        return ingest(StageParams(run, 0, tmp_path), target)

    return run_ingest


def content(store, prefix=""):
    return {key: hashlib.sha256(store.read(key)).hexdigest() for key in list_keys(store, prefix)}


def test_manifest_is_the_datasets_last_key_and_the_result_the_runs(harbour, store, run_ingest):
    dataset = run_ingest(harbour).dataset
    assert [key for key in store.written if key.startswith("datasets/")][-1] == keys.manifest(dataset)
    assert store.written[-3:] == [keys.manifest(dataset), keys.plan("r"), keys.result("r", "ingest")]


def test_nothing_is_written_twice(harbour, store, run_ingest):
    run_ingest(harbour)
    assert len(store.written) == len(set(store.written))


def test_second_time_writes_the_same_and_no_image(harbour, store, run_ingest):
    dataset = run_ingest(harbour).dataset
    first_content, store.written = content(store, dataset) | content(store, "blobs"), []
    run_ingest(harbour)
    assert content(store, dataset) | content(store, "blobs") == first_content
    assert not [key for key in store.written if key.startswith("blobs/")]


def test_dataset_that_was_cut_off_is_completed(harbour, store, run_ingest):
    dataset = run_ingest(harbour).dataset
    first_content = content(store, dataset)
    for key in (keys.manifest(dataset), keys.label_map(dataset), next(list_keys(store, "blobs"))):
        store.delete(key)
    assert run_ingest(harbour, "s").dataset == dataset
    assert content(store, dataset) == first_content
    assert len(list(list_keys(store, "blobs"))) == 24


def test_name_is_made_of_the_folders_unless_one_is_given(harbour, run_ingest):
    dataset = run_ingest(harbour).dataset
    named_dataset = run_ingest(harbour, "s", dataset={"source": str(harbour), "name": "port"}).dataset
    assert (dataset.split("/")[1], named_dataset.split("/")[1]) == ("port-of-m-we-2", "port")
    assert dataset.split("/")[2] == named_dataset.split("/")[2]


def test_equal_folders_are_equal_datasets_wherever_they_are_and_whatever_lies_about(harbour, tmp_path, run_ingest):
    copy = tmp_path / "far" / "away"
    shutil.copytree(harbour, copy)
    (copy / "README.txt").write_text("two harbours")
    (copy / ".DS_Store").write_bytes(b"x")
    other_store = FolderStore(tmp_path / "other-store")
    assert run_ingest(harbour).dataset.split("/")[2] == run_ingest(copy, target=other_store).dataset.split("/")[2]


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"seed": 1}, id="seed"),
        pytest.param({"testRatio": 0.4}, id="ratio"),
        pytest.param({"labelMap": LabelMap(("ship", "sailboat", "buoy")).dump()}, id="class-ids"),
    ],
)
def test_other_split_or_class_ids_are_another_dataset(harbour, run_ingest, spec):
    assert run_ingest(harbour).dataset != run_ingest(harbour, "s", ingest=spec).dataset


def test_manifest_says_what_the_shards_hold(harbour, store, run_ingest):
    result = run_ingest(harbour, ingest={"testRatio": 0.2, "valRatio": 0.2})
    manifest = read_document(store, keys.manifest(result.dataset), DatasetManifest)
    assert manifest.labels == ("buoy", "sailboat", "ship")
    assert LabelMap.parse(store.read(keys.label_map(result.dataset)).decode()).names == manifest.labels
    ids = []
    for split, counts in manifest.splits.items():
        images = [image for key in manifest.annotation_keys(split) for image in annotations.parse(store.read(key))]
        labels = [labeled_box.label for image in images for labeled_box in image.boxes]
        assert (len(images), len(labels)) == (counts.images, counts.boxes)
        assert {label: labels.count(label) for label in manifest.labels} == counts.per_class
        ids += [image.source_id for image in images]
    assert sorted(ids) == list(range(1, 25))
    assert list(manifest.splits) == ["train", "val", "test"]


def test_result_tells_what_the_command_shows(harbour, run_ingest):
    result = run_ingest(harbour)
    names = {"dataset", "labels", "splits", "counts", "notes", "pipeline_config", "duration_sec"}
    assert set(result.content()) == names
    assert result.notes == ("Partitioned with 10% test, stratified by class, seed 0.",)


def test_reference_gives_the_same_plan_as_the_source(harbour, store, run_ingest):
    first = run_ingest(harbour)
    ref = "@".join(first.dataset.split("/")[1:])
    second = run_ingest(harbour, "s", dataset={"ref": ref})
    assert first.model_copy(update={"duration_sec": 0}) == second.model_copy(update={"duration_sec": 0})
    assert store.read(keys.plan("r")) == store.read(keys.plan("s"))


def test_reference_to_a_dataset_without_its_manifest_is_refused(harbour, store, run_ingest):
    dataset = run_ingest(harbour).dataset
    store.delete(keys.manifest(dataset))
    with pytest.raises(InputError, match=r"not in the store .*; ingest its source first"):
        run_ingest(harbour, "s", dataset={"ref": "@".join(dataset.split("/")[1:])})


def test_refused_source_leaves_no_dataset_but_every_fault(harbour, tmp_path, store, run_ingest):
    faulty = tmp_path / "faulty"
    shutil.copytree(harbour, faulty)
    for xml in sorted((faulty / "annotations").iterdir())[:8]:
        xml.write_text("<annotation>")
    with pytest.raises(InputError) as error_info:
        run_ingest(faulty)
    lines = str(error_info.value).splitlines()
    assert lines[0] == "8 faults in the annotations:"
    assert lines[1].startswith("  annotations/harbour-0001.xml: line 1, column 12: cannot be parsed as XML")
    assert lines[6] == "  and 3 more: all are in runs/r/ingest/faults.json"
    assert len(json.loads(store.read(keys.faults("r")))) == 8
    assert not [key for key in store.written if key.startswith("datasets/")]
