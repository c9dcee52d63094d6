"""Documents that version 0.1.0 wrote: every one is read, and written again without losing a field."""

import json
import re
from pathlib import Path

import pytest

from slipway import keys
from slipway.artifacts.dataset import DataReport, DatasetManifest, Faults, IngestResult
from slipway.artifacts.detections import Detections, DetectResult
from slipway.artifacts.evaluation import BestCheckpoint, Curves, EvaluateResult, MeasuredRow, Verdict
from slipway.artifacts.export import ExportManifest, ExportResult
from slipway.artifacts.inputs import RunInputs
from slipway.artifacts.json_io import read_document, read_lines
from slipway.artifacts.outcome import MetricSnapshot, RunRecord, StageFailure
from slipway.artifacts.records import PreprocessResult, ShardPart
from slipway.artifacts.training import CheckpointListing, ProgressLine, TrainResult
from slipway.dataset import annotations
from slipway.run.plan import Plan
from slipway.run.run_file import load_run
from slipway.store.folder import FolderStore
from slipway.store.interface import list_keys

from services.api.datasets.uploads import Archive, Upload

OLD = FolderStore(Path(__file__).parents[3] / "fakes" / "documents")
MODELS = {
    r"datasets/.*/manifest\.json": DatasetManifest,
    r"datasets/.*/report\.json": DataReport,
    r"records/.*/parts/.*\.json": ShardPart,
    r"runs/.*/ingest/result\.json": IngestResult,
    r"runs/.*/ingest/faults\.json": Faults,
    r"runs/.*/preprocess/result\.json": PreprocessResult,
    r"runs/.*/train/result\.json": TrainResult,
    r"runs/.*/evaluate/result\.json": EvaluateResult,
    r"runs/.*/export/result\.json": ExportResult,
    r"runs/.*/detect/result\.json": DetectResult,
    r"runs/.*/failure\.json": StageFailure,
    r"runs/.*/record\.json": RunRecord,
    r"runs/.*/ckpt-\d+\.json": CheckpointListing,
    r"runs/.*/evaluate/best\.json": BestCheckpoint,
    r"runs/.*/evaluate/verdict\.json": Verdict,
    r"runs/.*/evaluate/curves\.json": Curves,
    r"runs/.*/export/manifest\.json": ExportManifest,
    r"runs/.*/detect/detections\.json": Detections,
    r"runs/.*/metrics/.*\.json": MetricSnapshot,
}
LINES = {r"runs/.*/train/progress\.jsonl": ProgressLine, r"runs/.*/evaluate/metrics\.jsonl": MeasuredRow}
OTHERS = {  # read by functions of their own, below
    r"datasets/.*/annotations/.*\.jsonl",
    r"datasets/.*/label_map\.pbtxt",
    r"incoming/.*/archive\.json",
    r"runs/.*/ingest/resolved\.yaml",
    r"runs/.*/run\.json",
    r"uploads/.*\.json",
    r"README\.md",
}
KEYS = sorted(list_keys(OLD))


def matching(pattern):
    return [key for key in KEYS if re.fullmatch(pattern, key)]


def model_of(key, models):
    return next((model for pattern, model in models.items() if re.fullmatch(pattern, key)), None)


@pytest.mark.parametrize("pattern", sorted([*MODELS, *LINES, *OTHERS]))
def test_there_is_one_of_each_kind(pattern):
    assert matching(pattern)


def test_every_file_is_read_by_a_test():
    assert [key for key in KEYS if not any(re.fullmatch(p, key) for p in [*MODELS, *LINES, *OTHERS])] == []


@pytest.mark.parametrize("key", [key for key in KEYS if model_of(key, MODELS)])
def test_a_document_is_read_and_no_field_of_it_is_lost(key):
    document = read_document(OLD, key, model_of(key, MODELS))
    assert json.loads(document.encode()) == json.loads(OLD.read(key))


@pytest.mark.parametrize("key", [key for key in KEYS if model_of(key, LINES)])
def test_lines_are_read_and_no_field_of_them_is_lost(key):
    lines = read_lines(OLD, key, model_of(key, LINES))
    assert [json.loads(line.encode_line()) for line in lines] == [
        json.loads(line) for line in OLD.read(key).splitlines()
    ]


@pytest.mark.parametrize("key", matching(r".*/(manifest|report|detections)\.json"))
def test_a_manifest_is_written_in_the_very_same_bytes(key):
    assert read_document(OLD, key, model_of(key, MODELS)).encode() == OLD.read(key)


@pytest.mark.parametrize("key", matching(r".*/annotations/.*"))
def test_annotations_are_written_in_the_very_same_bytes(key):
    assert annotations.dump(annotations.parse(OLD.read(key))) == OLD.read(key)


@pytest.mark.parametrize("key", matching(r".*/resolved\.yaml"))
def test_a_plan_is_written_in_the_very_same_bytes(key):
    assert Plan.parse(OLD.read(key)).dump() == OLD.read(key)


@pytest.mark.parametrize("key", matching(r"runs/.*/run\.json"))
def test_a_run_is_written_in_the_very_same_bytes(key):
    assert load_run(key.split("/")[1], OLD).dump() == OLD.read(key)


def test_the_documents_of_an_upload_are_read():
    for model, pattern in ((Archive, r"incoming/.*/archive\.json"), (Upload, r"uploads/.*\.json")):
        for key in matching(pattern):
            document = model.model_validate_json(OLD.read(key))
            assert document.model_dump(by_alias=True, exclude_unset=True) == json.loads(OLD.read(key))


def test_the_inputs_of_a_stage_are_gathered_from_an_old_run():
    inputs = RunInputs.load(OLD, load_run("harbour", OLD))
    assert inputs.dataset == inputs.manifest.folder
    assert inputs.labels.names == inputs.manifest.labels == ("buoy", "sailboat", "ship")
    assert inputs.records.records.startswith(f"records/{inputs.manifest.sha256}/")
    assert len(list(inputs.annotated_images(OLD, "test"))) == inputs.manifest.splits["test"].images == 4
    assert keys.manifest(inputs.dataset) in KEYS
