"""The tutorial's scripts, written anew, on what Slipway leaves of a drawn folder."""

import hashlib

import pytest
from PIL import Image

from slipway import keys
from slipway.artifacts.dataset import DatasetManifest, IngestResult
from slipway.artifacts.json_io import read_document
from slipway.artifacts.records import PreprocessResult
from slipway.dataset.annotations import parse
from slipway.dataset.labels import LabelMap
from slipway.store.folder import FolderStore
from tests.fakes.tutorial_scripts import examples, read_csv, xml_to_csv
from tests.unit.cli.conftest import slipway

OBJECT = (
    "<object><bndbox><xmin>{x}</xmin><xmax>60</xmax><ymin>5</ymin><ymax>25</ymax></bndbox><name>{label}</name></object>"
)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A finished training_demo whose XML has its tags in another order than the scripts expect."""
    root = tmp_path_factory.mktemp("tutorial") / "training_demo"
    for split, numbers in (("train", range(20)), ("test", range(20, 25))):
        folder = root / "images" / split
        folder.mkdir(parents=True)
        for number in numbers:
            Image.new("RGB", (64, 48), (number * 9, 40, 99)).save(folder / f"{number}.jpg")
            objects = "".join(OBJECT.format(x=10 + number, label=label) for label in ("ship", "buoy")[: 1 + number % 2])
            size = "<size><depth>3</depth><height>48</height><width>64</width></size>"
            (folder / f"{number}.xml").write_text(
                f"<annotation>{size}<filename>{number}.jpg</filename>{objects}</annotation>"
            )
    (root / "annotations").mkdir()
    (root / "annotations/label_map.pbtxt").write_text("item { id: 1 name: 'ship' }\nitem { id: 2 name: 'buoy' }\n")
    return root


@pytest.fixture(scope="module")
def store(workspace):
    out = workspace.parent / "out"
    assert slipway("run", workspace, "--until", "preprocess", "--name", "r", "--out", out) == 0
    return FolderStore(out)


def digests(folder):
    return {
        path.relative_to(folder): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def written_features(store, records, split, names):
    """Return the features of the records of a split, by the image's bytes."""
    import tensorflow as tf

    folder = store.root / records
    features = {}
    for record in tf.data.TFRecordDataset(sorted(map(str, folder.glob(f"{split}-*.tfrecord")))):
        feature = tf.train.Example.FromString(record.numpy()).features.feature
        content = feature["image/encoded"].bytes_list.value[0]
        kinds = {name: feature[name].WhichOneof("kind") for name in names}
        features[content] = {name: list(getattr(feature[name], kind).value) for name, kind in kinds.items()}
    return features


@pytest.mark.slow
@pytest.mark.parametrize("split", ["train", "test"])
def test_generate_tfrecord_computes_the_written_records_from_the_written_csv(workspace, store, split):
    result = read_document(store, keys.result("r", "preprocess"), PreprocessResult)
    rows = read_csv(store.read(keys.table(result.records, split)))
    dataset = read_document(store, keys.result("r", "ingest"), IngestResult).dataset
    labels = LabelMap.parse(store.read(keys.label_map(dataset)).decode())
    assert labels.names == ("ship", "buoy")
    expected = examples(rows, workspace / "images" / split, {"ship": 1, "buoy": 2})
    names = next(iter(expected.values()))
    written = written_features(store, result.records, split, names)
    assert written.keys() == expected.keys() and len(written) == {"train": 20, "test": 5}[split]
    for content, features in expected.items():
        assert written[content] == {
            name: pytest.approx(values, abs=1e-6) if "bbox" in name else values for name, values in features.items()
        }


@pytest.mark.slow
def test_xml_to_csv_reads_the_boxes_from_the_folders_that_partition_writes(workspace, store):
    before, out = digests(workspace), workspace.parent / "split"
    assert slipway("partition", workspace, out, "-r", "0.2", "-x", "--seed", "3") == 0
    assert digests(workspace) == before
    assert sorted(path.name for path in workspace.parent.iterdir()) == ["out", "split", "training_demo"]
    rows = xml_to_csv(out / "train") + xml_to_csv(out / "test")
    original = [row for key in tables(store) for row in read_csv(store.read(key))]
    assert sorted(map(str, rows)) == sorted(map(str, original))


@pytest.mark.slow
def test_partition_chooses_the_split_of_a_run_with_the_same_ratio_and_seed(workspace, store):
    out, arguments = workspace.parent / "again", ("--seed", "3")
    assert slipway("partition", workspace, out, "--ratio", "0.2", *arguments) == 0
    options = ("--until", "ingest", "--name", "s", "--test-ratio", "0.2", "--out", store.root)
    assert slipway("run", workspace, *options, *arguments) == 0
    dataset = read_document(store, keys.result("s", "ingest"), IngestResult).dataset
    manifest = read_document(store, keys.manifest(dataset), DatasetManifest)
    for split in ("train", "test"):
        images = [image for key in manifest.annotation_keys(split) for image in parse(store.read(key))]
        names = sorted(image.filename.rpartition("/")[2] for image in images)
        assert sorted(path.name for path in (out / split).iterdir()) == names


def tables(store):
    records = read_document(store, keys.result("r", "preprocess"), PreprocessResult).records
    return [keys.table(records, split) for split in ("train", "test")]
