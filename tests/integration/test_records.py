"""The records, read back by who will read them: TensorFlow, and Model Garden's own decoder."""

import json
from pathlib import Path
from xml.etree.ElementTree import parse

import pytest

from slipway import keys
from slipway.artifacts.dataset import DataReport
from slipway.artifacts.json_io import read_document
from slipway.dataset.annotations import AnnotatedImage, LabeledBox
from slipway.dataset.boxes import Box, ImageSize
from slipway.dataset.labels import LabelMap
from slipway.run.spec import TrainingRun
from slipway.stage.runner import StageParams
from slipway.store.folder import FolderStore
from tests.fakes.harbour import draw

from services.ingest.service import ingest
from services.preprocess.service import preprocess
from services.preprocess.tfrecord import example, frame
from services.trainer.repeated_records import repeat_records

# What Model Garden's own modules say as they are imported.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

REAL = Path(__file__).parents[3] / "shared" / "data"  # the datasets that Slipway is developed with, where they are


def boxes_of(xml):
    """Read (label, ymin, xmin, ymax, xmax) of the unit square straight from an XML file, without Slipway."""
    root = parse(xml).getroot()
    width, height = (int(root.findtext(f"size/{side}")) for side in ("width", "height"))
    for item in root.iter("object"):
        x1, y1, x2, y2 = (float(item.findtext(f"bndbox/{side}")) for side in ("xmin", "ymin", "xmax", "ymax"))
        if x2 > x1 and y2 > y1:  # empty ones are dropped, and reported
            yield item.findtext("name"), y1 / height, x1 / width, y2 / height, x2 / width


def decode_all(store, records, splits):
    """Yield what Model Garden's decoder makes of every record."""
    import tensorflow as tf
    from official.vision.dataloaders.tf_example_decoder import TfExampleDecoder

    decoder = TfExampleDecoder()
    for split, counts in splits.items():
        for number in range(counts.shards):
            path = str(store.root / keys.shard(records, split, number, counts.shards))
            for record in tf.data.TFRecordDataset(path):
                filename = tf.train.Example.FromString(record.numpy()).features.feature["image/filename"]
                yield filename.bytes_list.value[0].decode(), decoder.decode(record)


def ingested(tmp_path, source):
    store = FolderStore(tmp_path / "store")
    asked = {"dataset": {"source": str(source)}, "preprocess": {"workers": 1}}
    (tmp_path / "scratch").mkdir()
    params = StageParams(
        TrainingRun.model_validate({"metadata": {"name": "r"}, "spec": asked}), 0, tmp_path / "scratch"
    )
    return store, ingest(params, store), preprocess(params, store)


@pytest.mark.parametrize("name", ["harbour", "bccd", "raccoon"])
def test_decoded_boxes_are_those_of_the_xml(tmp_path, name):
    source = REAL / name
    if name == "harbour":
        source = tmp_path / "harbour"
        draw(source, 40, 5)
    elif not source.is_dir():
        pytest.skip(f"{source} is not on this machine")
    store, dataset, made = ingested(tmp_path, source)
    labels = LabelMap.parse(store.read(keys.label_map(dataset.dataset)).decode())
    seen = set()
    for filename, decoded in decode_all(store, made.records, made.splits):
        expected = sorted(boxes_of(source / "annotations" / f"{Path(filename).stem}.xml"))
        ids, boxes = decoded["groundtruth_classes"].numpy().tolist(), decoded["groundtruth_boxes"].numpy().tolist()
        got = sorted((labels.names[class_id - 1], *box) for class_id, box in zip(ids, boxes, strict=True))
        assert [row[0] for row in got] == [row[0] for row in expected]
        assert [v for row in got for v in row[1:]] == pytest.approx([v for row in expected for v in row[1:]], abs=1e-6)
        seen.add(int(decoded["source_id"]))
    images = sum(counts.images for counts in made.splits.values())
    assert seen == set(range(1, images + 1))
    assert images == len(list((source / "annotations").glob("*.xml")))


def test_dropped_boxes_are_all_that_is_missing(tmp_path):
    source = REAL / "bccd"
    if not source.is_dir():
        pytest.skip(f"{source} is not on this machine")
    store, dataset, made = ingested(tmp_path, source)
    drawn = sum(1 for xml in (source / "annotations").glob("*.xml") for _ in parse(xml).getroot().iter("object"))
    kept = sum(counts.boxes for counts in made.splits.values())
    assert dataset.counts == {"box_empty": 2}
    assert drawn - kept == 2
    report = read_document(store, keys.data_report(dataset.dataset, "json"), DataReport)
    assert [(f.file, f.object) for f in report.findings] == [
        ("annotations/BloodImage_00338.xml", 12),
        ("annotations/BloodImage_00343.xml", 3),
    ]


def test_bytes_are_those_that_tensorflow_parses():
    import tensorflow as tf

    features = {"a": [1, 2**40], "b": [b"x" * 300, b""], "c": [0.25, -1.5], "d": []}
    parsed = tf.train.Example.FromString(example(features)).features.feature
    assert list(parsed["a"].int64_list.value) == [1, 2**40]
    assert list(parsed["b"].bytes_list.value) == [b"x" * 300, b""]
    assert list(parsed["c"].float_list.value) == [0.25, -1.5]
    assert parsed["d"].WhichOneof("kind") is None


def test_frames_are_those_that_tensorflow_reads(tmp_path):
    import tensorflow as tf

    records = [b"", b"one", bytes(range(256)) * 9]
    path = tmp_path / "x.tfrecord"
    path.write_bytes(b"".join(frame(record) for record in records))
    assert [record.numpy() for record in tf.data.TFRecordDataset(str(path))] == records


def test_repeated_records_are_those_that_tensorflow_reads(tmp_path):
    import tensorflow as tf

    records = [b"", b"one", bytes(range(256)) * 9]
    path = tmp_path / "train-00000-of-00001.tfrecord"
    path.write_bytes(b"".join(frame(record) for record in records))
    boxes = (LabeledBox("heron", Box(0, 0, 9, 9)),)
    images = [AnnotatedImage(f"{n}.png", n, "0", "png", ImageSize(64, 48), boxes if n else ()) for n in range(3)]
    assert repeat_records(path, images, {"heron": 2.0}) == 2
    assert [record.numpy() for record in tf.data.TFRecordDataset(str(path))] == [*records, *records[1:]]


def test_config_of_every_preset_is_one_that_model_garden_takes():
    from official.core import task_factory

    from slipway.run.plan import resolve
    from slipway.run.presets import preset_names
    from slipway.run.spec import TrainSpec

    from services.trainer.pipeline_config import dump, pipeline_config

    for name in preset_names():
        plan = resolve(TrainSpec(preset=name), 100, (4000, 3000))
        config = pipeline_config(plan, 2, 130, None)
        assert config.task.model.num_classes == 3
        assert config.task.train_data.parser.max_num_instances == 130
        assert (config.task.validation_data.drop_remainder, config.task.annotation_file) == (False, None)
        assert task_factory.get_task(config.task) is not None
        assert json.dumps(dump(config).decode())
