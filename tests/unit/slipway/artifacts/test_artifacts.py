"""The documents: which fields are needed, which have defaults, and the bytes that are stored."""

import inspect
import json

import pytest

from slipway.artifacts import dataset, detections, evaluation, export, outcome, records, training
from slipway.artifacts.dataset import DataReport, DatasetManifest, Faults, Finding, IngestResult
from slipway.artifacts.detections import Detections, DetectResult
from slipway.artifacts.evaluation import BestCheckpoint, CocoMetrics, Curves, EvaluateResult, MeasuredRow, Verdict
from slipway.artifacts.export import ExportManifest, ExportResult
from slipway.artifacts.json_io import parse_document
from slipway.artifacts.outcome import BestSoFar, MetricSnapshot, RunRecord, RunStatus, StageFailure, StageStatus
from slipway.artifacts.records import PreprocessResult, ShardPart
from slipway.artifacts.training import CheckpointListing, ProgressLine, TrainResult
from slipway.errors import BrokenDocument
from slipway.models import ArtifactModel
from slipway.run.pipeline import Phase, State

MODULES = (dataset, detections, evaluation, export, outcome, records, training)
SHA = "0" * 64
METRICS = {"AP": 0.5, "AP50": 0.75}

SMALLEST = {
    DatasetManifest: {"name": "a", "sha256": SHA, "labels": ["b"], "splits": {}, "median_size": [64, 48]},
    DataReport: {"name": "a", "splits": {}},
    IngestResult: {"dataset": f"datasets/a/{SHA}"},
    ShardPart: {"images": 1, "boxes": 2, "max_boxes": 2, "bytes": 3},
    PreprocessResult: {"records": "records/a/b", "splits": {}, "max_boxes": 2},
    ProgressLine: {"step": 10, "loss": 0.5},
    CheckpointListing: {"step": 10, "files": {"ckpt-10.index": SHA}},
    TrainResult: {"steps": 10, "best_step": 10},
    MeasuredRow: {"step": 10, "split": "val", **METRICS},
    BestCheckpoint: {"step": 10, "split": "test", "chosen_on": "val", "metrics": METRICS},
    Verdict: {"best": 10, "last": 20},
    EvaluateResult: {"step": 10, "split": "test", "chosen_on": "val", "metrics": METRICS},
    ExportManifest: {"step": 10, "preset": "c", "image_size": 256, "labels": ["b"], "files": {"a.tflite": SHA}},
    ExportResult: {"step": 10},
    DetectResult: {"images": 1, "detections": 2, "score_threshold": 0.4},
    StageFailure: {"attempt": 1},
    MetricSnapshot: {"samples": []},
}
FIELDS = [(model, field) for model, fields in SMALLEST.items() for field in fields]


@pytest.mark.parametrize("model", SMALLEST, ids=lambda model: model.__name__)
def test_a_document_of_the_needed_fields_alone_is_read_and_written_again(model):
    document = parse_document(json.dumps(SMALLEST[model]).encode(), "a.json", model)
    assert json.loads(document.encode()) == SMALLEST[model]


@pytest.mark.parametrize("model", SMALLEST, ids=lambda model: model.__name__)
def test_a_field_of_a_newer_version_is_tolerated(model):
    document = {**SMALLEST[model], "unheard_of": 1}
    assert parse_document(json.dumps(document).encode(), "a.json", model)


@pytest.mark.parametrize(("model", "field"), FIELDS, ids=lambda value: getattr(value, "__name__", value))
def test_a_missing_field_is_named(model, field):
    document = {name: value for name, value in SMALLEST[model].items() if name != field}
    with pytest.raises(BrokenDocument, match=rf"^a\.json: {field}: Field required"):
        parse_document(json.dumps(document).encode(), "a.json", model)


def test_every_document_names_its_key_its_writer_and_its_readers():
    models = {model for module in MODULES for _, model in inspect.getmembers(module, _is_document)}
    assert models > set(SMALLEST)
    for model in models & {*SMALLEST, Faults, Curves, Detections, RunRecord}:
        words = inspect.getdoc(model)
        assert "Key: `" in words, model
        assert "Writer" in words, model
        assert "Reader" in words, model


def _is_document(value):
    return isinstance(value, type) and issubclass(value, ArtifactModel)


def test_a_manifest_knows_its_keys():
    split = {"images": 3, "boxes": 4, "per_class": {}, "shards": 2}
    manifest = DatasetManifest.model_validate({**SMALLEST[DatasetManifest], "splits": {"train": split}})
    assert manifest.folder == f"datasets/a/{SHA}"
    assert manifest.annotation_keys("train") == [
        f"datasets/a/{SHA}/annotations/train-00000-of-00002.jsonl",
        f"datasets/a/{SHA}/annotations/train-00001-of-00002.jsonl",
    ]
    assert manifest.annotation_keys("val") == []


def test_the_shards_of_a_split_are_listed_in_order():
    split = {"images": 3, "boxes": 4, "bytes": 5, "shards": 2}
    result = PreprocessResult.model_validate({**SMALLEST[PreprocessResult], "splits": {"test": split}})
    assert result.shard_keys("test") == [
        "records/a/b/test-00000-of-00002.tfrecord",
        "records/a/b/test-00001-of-00002.tfrecord",
    ]


def test_faults_are_written_for_people():
    finding = Finding("box_empty", "error", "Möwe \udcff.xml", None, "is empty", "redraw it")
    faults = Faults((finding,))
    assert "Möwe ?.xml".encode() in faults.encode()
    assert parse_document(faults.encode(), "faults.json", Faults).root[0].object is None
    assert str(finding) == "Möwe \udcff.xml: is empty; redraw it"
    assert str(Finding("label_not_in_split", "warning", "", None, "is absent", "add it")) == "is absent; add it"


def test_a_finding_without_severity_is_refused():
    with pytest.raises(BrokenDocument, match=r"^report\.json: findings\.0\.severity: Field required"):
        parse_document(
            b'{"name": "a", "splits": {}, "findings": [{"code": "x", "file": "", "object": null, '
            b'"message": "", "action": ""}]}',
            "report.json",
            DataReport,
        )


def test_a_progress_line_keeps_what_model_garden_reports():
    line = parse_document(b'{"step": 10, "loss": 0.5, "box_loss": 0.25}', "a", ProgressLine)
    assert line.extras == {"box_loss": 0.25}
    assert line.content() == {"step": 10, "loss": 0.5, "box_loss": 0.25}
    with pytest.raises(BrokenDocument, match="box_loss: "):
        parse_document(b'{"step": 10, "loss": 0.5, "box_loss": "high"}', "a", ProgressLine)


def test_metrics_are_named_as_coco_names_them():
    metrics = CocoMetrics.model_validate({"ARmax1": 0.25, "AP": 0.5, "AP50": 0.75})
    assert (metrics.ap, metrics.ap50, metrics.ap75, metrics.ar_max1) == (0.5, 0.75, -1.0, 0.25)
    assert list(metrics.by_name().items()) == [("AP", 0.5), ("AP50", 0.75), ("ARmax1", 0.25)]


def test_a_measured_row_is_flat():
    metrics = CocoMetrics(AP=0.5, AP50=0.75)
    row = MeasuredRow.of(10, "val", 1.5, metrics)
    assert row.content() == {"AP": 0.5, "AP50": 0.75, "step": 10, "split": "val", "loss": 1.5}
    assert row.metrics == metrics


def test_curves_are_kept_by_label():
    curves = parse_document(b'{"ship": {"recall": [0, 1], "precision": [1, 0.5]}}', "a", Curves)
    assert curves.root["ship"].precision == (1.0, 0.5)


def test_a_record_is_its_status_with_name_and_uid():
    status = RunStatus(
        state=State.RUNNING,
        stages={"ingest": StageStatus(phase=Phase.DONE, attempt=1, started_at="2026-01-31T12:00:00Z")},
        best=BestSoFar(step=10, AP=0.5, AP50=0.75),
    )
    record = RunRecord.of("ponds", "uid-1", status)
    written = json.loads(record.encode())
    assert written["name"] == "ponds"
    assert written["stages"] == {"ingest": {"phase": "done", "attempt": 1, "startedAt": "2026-01-31T12:00:00Z"}}
    assert written["best"] == {"step": 10, "AP": 0.5, "AP50": 0.75}
    assert written["settled"] == 0
    assert "reason" not in written
    assert parse_document(record.encode(), "record.json", RunRecord) == record
    assert record.status == status


def test_a_state_of_a_newer_version_is_refused_by_name():
    with pytest.raises(BrokenDocument, match=r"^record\.json: state: .*\(got 'RESTING'\)"):
        parse_document(b'{"state": "RESTING"}', "record.json", RunRecord)


def test_a_snapshot_keeps_numbers_that_json_lacks():
    content = b'{"samples":[{"name":"slipway_training_loss","value":"NaN"}]}\n'
    assert parse_document(content, "a", MetricSnapshot).encode() == content
