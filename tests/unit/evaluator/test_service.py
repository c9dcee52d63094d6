"""The evaluation of a training whose checkpoints are all listed; the model, which needs TensorFlow, is replaced."""

import json
import shutil
import threading

import pytest

from slipway import keys
from slipway.artifacts.checkpoints import Checkpoints
from slipway.artifacts.dataset import DatasetManifest, IngestResult, ManifestSplit
from slipway.artifacts.error_analysis import ErrorAnalysis
from slipway.artifacts.evaluation import BestCheckpoint, MeasuredRow, Verdict
from slipway.artifacts.json_io import read_document, read_lines, write_document
from slipway.artifacts.records import PreprocessResult, RecordSplit
from slipway.dataset import annotations
from slipway.dataset.annotations import AnnotatedImage, LabeledBox
from slipway.dataset.boxes import Box, ImageSize
from slipway.dataset.labels import LabelMap
from slipway.run.spec import TrainingRun
from slipway.stage.runner import StageParams
from slipway.store.folder import FolderStore
from tests.fakes.plans import small_plan

from services.evaluator import service
from services.evaluator.coco import Detection
from services.evaluator.pictures import Album
from services.evaluator.service import evaluate

BOX = Box(10, 10, 60, 60)
SPLITS = ("train", "val", "test")


class FakeModel:
    """Detects the only box with the checkpoint of step 5, and nothing with any other."""

    def load(self, checkpoint):
        self.checkpoint = checkpoint.name

    def detect(self, records):
        return ([Detection(1, 1, BOX, 0.9)] if self.checkpoint == "ckpt-5" else []), 0.5


class FakeEventFile:
    def __init__(self, folder):
        folder.mkdir()
        self.file = folder / "events.out.tfevents.1"

    def add(self, step, measurement, pictures):
        self.file.write_text(f"{step}")
        return self.file


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A run with one image in each split, and with the checkpoints of steps 5 and 10, the last."""
    monkeypatch.setattr(service, "_build_model", lambda store, inputs: FakeModel())
    monkeypatch.setattr(service, "EventFile", FakeEventFile)
    monkeypatch.setattr(service, "make_album", lambda records, truth: Album([], truth.labels))
    store = FolderStore(tmp_path / "store")
    write_inputs(store)
    checkpoints = Checkpoints(store, keys.stage("ponds", "train"))
    for step in (5, 10):
        file = tmp_path / f"ckpt-{step}.index"
        file.write_text(f"{step}")
        checkpoints.publish(step, [file], last=step == 10)
    return store


def write_inputs(store):
    counts = ManifestSplit(images=1, boxes=1, per_class={"duck": 1}, shards=1)
    manifest = DatasetManifest(
        name="ponds", sha256="0" * 64, labels=("duck",), splits=dict.fromkeys(SPLITS, counts), median_size=(64, 64)
    )
    image = AnnotatedImage("1.jpg", 1, "0" * 64, "jpeg", ImageSize(64, 64), (LabeledBox("duck", BOX),))
    records = RecordSplit(images=1, boxes=1, bytes=1, shards=1)
    result = PreprocessResult(records="records/a/b", splits=dict.fromkeys(SPLITS, records), max_boxes=1)
    write_document(store, keys.result("ponds", "ingest"), IngestResult(dataset=manifest.folder))
    write_document(store, keys.manifest(manifest.folder), manifest)
    write_document(store, keys.result("ponds", "preprocess"), result)
    store.write(keys.label_map(manifest.folder), LabelMap(("duck",)).dump().encode())
    store.write(keys.plan("ponds"), small_plan().dump())
    for split in SPLITS:
        store.write(keys.annotations(manifest.folder, split, 0, 1), annotations.dump([image]))
        store.write(keys.shard("records/a/b", split, 0, 1), b"record")


@pytest.fixture
def params(tmp_path):
    (tmp_path / "scratch").mkdir()

    def make(index=0, stopping=None, **fields):
        spec = {"dataset": {"source": "/ponds"}, **fields}
        run = TrainingRun.model_validate({"metadata": {"name": "ponds"}, "spec": spec})
        return StageParams(run, index, tmp_path / "scratch", stopping or threading.Event())

    make.scratch = tmp_path / "scratch"
    return make


def test_the_best_on_val_is_reported_on_test_beside_the_last(store, params):
    result = evaluate(params(), store)
    assert (result.step, result.split, result.chosen_on) == (5, "test", "val")
    assert (result.metrics.ap, result.last.step, result.last.metrics.ap) == (pytest.approx(1.0), 10, 0.0)
    rows = read_lines(store, keys.metrics("ponds"), MeasuredRow)
    assert [(row.step, row.split) for row in rows] == [(5, "val"), (10, "val"), (10, "test"), (5, "test")]
    assert read_document(store, keys.verdict("ponds"), Verdict) == Verdict(best=5, last=10, stop=False, final=True)
    assert read_document(store, keys.best("ponds"), BestCheckpoint).last == result.last
    assert store.read("runs/ponds/evaluate/events.out.tfevents.1") == b"10"


@pytest.mark.parametrize(
    ("plan", "spec", "stops"),
    [
        pytest.param({"patience": 1}, {}, True, id="chosen"),
        pytest.param({"patience": 0}, {"patience": 0}, False, id="turned-off"),
        pytest.param({}, {"patience": 1}, True, id="older-plan"),
        pytest.param({}, {}, False, id="older-plan-without"),
    ],
)
def test_training_is_stopped_by_the_patience_of_its_plan(store, params, plan, spec, stops):
    store.write(keys.plan("ponds"), small_plan(**plan).dump())
    evaluate(params(train=spec), store)
    assert read_document(store, keys.verdict("ponds"), Verdict).stop is stops


def test_thresholds_are_chosen_on_val_and_reported_on_test(store, params):
    evaluate(params(), store)
    points = read_document(store, keys.best("ponds"), BestCheckpoint).operating_points
    assert (points.split, points.overall.threshold, points.overall.f1) == ("val", 0.45, 1.0)
    assert [(point.label, point.threshold, point.is_overall) for point in points.per_class] == [("duck", 0.45, True)]
    assert (points.reported.precision, points.reported.recall) == (1.0, 1.0)


@pytest.mark.parametrize(("requested", "missed"), [(None, 0), (0.95, 1)], ids=["measured", "requested"])
def test_errors_are_those_of_the_best_on_test_with_the_thresholds_of_the_run(store, params, requested, missed):
    evaluate(params(detect={"scoreThreshold": requested}), store)
    errors = read_document(store, "runs/ponds/evaluate/errors.json", ErrorAnalysis)
    assert {kind.kind: kind.count for kind in errors.kinds if kind.count} == ({"missed": 1} if missed else {})
    assert (errors.split, errors.confusion.counts) == ("test", ((1 - missed, missed), (0, 0)))
    assert [failure.filename for failure in errors.failures] == ["1.jpg"] * missed
    assert len(errors.advice) == missed  # it sends to the single error; all boxes are found, at some score


def test_a_restart_after_the_last_checkpoint_measures_the_best_again(store, params):
    """Without val, whose images are those of the report: the detections of the best were in memory only."""
    manifest = read_document(store, keys.manifest(f"datasets/ponds/{'0' * 64}"), DatasetManifest)
    splits = {split: manifest.splits[split] for split in ("train", "test")}
    write_document(store, keys.manifest(manifest.folder), manifest.model_copy(update={"splits": splits}))
    records = read_document(store, keys.result("ponds", "preprocess"), PreprocessResult)
    splits = {split: records.splits[split] for split in ("train", "test")}
    write_document(store, keys.result("ponds", "preprocess"), records.model_copy(update={"splits": splits}))
    result = evaluate(params(), store)
    shutil.rmtree(params.scratch)
    params.scratch.mkdir()
    assert evaluate(params(), store).metrics == result.metrics


def test_an_evaluation_that_an_older_version_began_has_thresholds_of_test(store, params):
    """Its best checkpoint has none of val, and val is not measured a second time."""
    evaluate(params(), store)
    old_best = json.loads(store.read(keys.best("ponds")))
    del old_best["operating_points"]
    store.write(keys.best("ponds"), json.dumps(old_best).encode())
    shutil.rmtree(params.scratch)
    params.scratch.mkdir()
    evaluate(params(), store)
    assert read_document(store, keys.best("ponds"), BestCheckpoint).operating_points.split == "test"


@pytest.mark.parametrize(("requested", "overall"), [(None, 0.45), (0.7, 0.7)], ids=["measured", "requested"])
def test_pictures_have_the_measured_threshold_unless_the_run_requests_one(
    store, params, requested, overall, monkeypatch
):
    thresholds = []
    monkeypatch.setattr(Album, "draw", lambda album, detections, threshold: thresholds.append(threshold) or [])
    evaluate(params(detect={"scoreThreshold": requested}), store)
    assert thresholds[0].overall == overall


def test_only_the_best_checkpoint_is_kept_a_second_time(store, params):
    evaluate(params(), store)
    assert Checkpoints(store, keys.best_checkpoint("ponds")).steps() == [5]
    assert store.read("runs/ponds/evaluate/best/ckpt-5.index") == b"5"


def test_a_checkpoint_that_the_trainer_deletes_meanwhile_is_skipped(store, params, monkeypatch):
    def fetch(checkpoints, step, folder):
        if step == 5:
            checkpoints.delete(5)
        return fetch_checkpoint(checkpoints, step, folder)

    fetch_checkpoint = Checkpoints.fetch
    monkeypatch.setattr(Checkpoints, "fetch", fetch)
    assert evaluate(params(), store).step == 10
    assert {row.step for row in read_lines(store, keys.metrics("ponds"), MeasuredRow)} == {10}


def test_evaluator_beside_another_worker_than_the_first_waits_to_be_stopped(tmp_path, params):
    stopping, results = threading.Event(), []
    thread = threading.Thread(target=lambda: results.append(evaluate(params(1, stopping), FolderStore(tmp_path))))
    thread.start()
    thread.join(0.05)
    assert thread.is_alive()
    stopping.set()
    thread.join(5)
    assert results == [None]
