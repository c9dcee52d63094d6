import json

import pytest

from slipway import keys
from slipway.artifacts.dataset import DatasetManifest, IngestResult, ManifestSplit
from slipway.artifacts.inputs import RunInputs
from slipway.artifacts.json_io import write_document
from slipway.artifacts.records import PreprocessResult, RecordSplit
from slipway.dataset import annotations
from slipway.dataset.annotations import AnnotatedImage
from slipway.dataset.boxes import ImageSize
from slipway.dataset.labels import LabelMap
from slipway.errors import BrokenDocument, MissingKey
from slipway.run.plan import Plan, resolve
from slipway.run.presets import load_preset
from slipway.run.spec import TrainingRun, TrainSpec
from slipway.store.folder import FolderStore

SHA = "0" * 64
DATASET = f"datasets/ponds/{SHA}"
RUN = TrainingRun.model_validate({"metadata": {"name": "ponds-1"}, "spec": {"dataset": {"source": "images"}}})
MANIFEST = DatasetManifest(
    name="ponds",
    sha256=SHA,
    labels=("duck",),
    splits={"train": ManifestSplit(images=2, boxes=0, per_class={"duck": 0}, shards=2)},
    median_size=(64, 48),
)


@pytest.fixture
def store(tmp_path):
    store = FolderStore(tmp_path)
    write_document(store, keys.result("ponds-1", "ingest"), IngestResult(dataset=DATASET))
    write_document(store, keys.manifest(DATASET), MANIFEST)
    store.write(keys.label_map(DATASET), LabelMap(("duck",)).dump().encode())
    store.write(keys.plan("ponds-1"), resolve(TrainSpec(), 2, MANIFEST.median_size).dump())
    return store


def test_what_a_stage_needs_is_read_at_once(store):
    split = RecordSplit(images=2, boxes=0, bytes=9, shards=1)
    result = PreprocessResult(records="records/a/b", splits={"train": split}, max_boxes=0)
    write_document(store, keys.result("ponds-1", "preprocess"), result)
    inputs = RunInputs.load(store, RUN)
    assert inputs == RunInputs(
        run=RUN,
        dataset=DATASET,
        manifest=MANIFEST,
        labels=LabelMap(("duck",)),
        plan=Plan.parse(store.read(keys.plan("ponds-1"))),
        preprocessed=result,
    )
    assert inputs.records.shard_keys("train") == ["records/a/b/train-00000-of-00001.tfrecord"]


def test_preset_is_the_one_of_the_plan_or_the_runs_own(store):
    assert RunInputs.load(store, RUN).preset == load_preset("retinanet_efficientnet_lite0_320")
    train = {"preset": "mine", "customPreset": {"base": "retinanet_resnet10_320", "epochs": 5}}
    spec = {"dataset": {"source": "images"}, "train": train}
    own_run = TrainingRun.model_validate({"metadata": {"name": "ponds-1"}, "spec": spec})
    store.write(keys.plan("ponds-1"), resolve(own_run.spec.train, 2, MANIFEST.median_size).dump())
    preset = RunInputs.load(store, own_run).preset
    assert (preset.name, preset.epochs) == ("mine", 5)


def test_before_preprocess_there_are_no_records(store):
    inputs = RunInputs.load(store, RUN)
    assert inputs.preprocessed is None
    with pytest.raises(
        MissingKey, match=r"^runs/ponds-1/preprocess/result\.json: not there; preprocess has not ended$"
    ):
        _ = inputs.records


def test_before_ingest_there_is_nothing(tmp_path):
    with pytest.raises(MissingKey):
        RunInputs.load(FolderStore(tmp_path), RUN)


def test_a_manifest_without_labels_is_refused_by_key_and_field(store):
    manifest = MANIFEST.content()
    del manifest["labels"]
    store.write(keys.manifest(DATASET), json.dumps(manifest).encode())
    with pytest.raises(BrokenDocument, match=rf"^{DATASET}/manifest\.json: labels: Field required"):
        RunInputs.load(store, RUN)


def test_annotations_are_read_shard_after_shard(store):
    images = [AnnotatedImage(f"{n}.jpg", n, SHA, "jpeg", ImageSize(64, 48), ()) for n in (1, 2)]
    for number, image in enumerate(images):
        store.write(keys.annotations(DATASET, "train", number, 2), annotations.dump([image]))
    assert list(RunInputs.load(store, RUN).annotated_images(store, "train")) == images
