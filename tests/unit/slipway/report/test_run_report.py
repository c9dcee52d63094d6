"""The page's content, gathered from what the stages left."""

import json
from pathlib import Path
from typing import Any

import pytest

from slipway import keys
from slipway.artifacts.evaluation import CocoMetrics, MeasuredRow
from slipway.artifacts.json_io import write_lines
from slipway.dataset.labels import LabelMap
from slipway.errors import MissingKey
from slipway.report.pages import run_report
from slipway.report.run_report import assemble
from slipway.run.plan import Choice
from slipway.run.run_file import parse_run
from slipway.store.folder import FolderStore
from slipway.store.interface import ObjectStore
from tests.fakes.plans import small_plan

SOURCE = "cd" * 32
RUN = parse_run(
    "{apiVersion: slipway.dev/v1alpha1, kind: TrainingRun, metadata: {name: cats}, "
    f"spec: {{dataset: {{source: /cats, sha256: {SOURCE}}}, train: {{seed: 7}}}}}}",
    "test",
)
DATASET = keys.dataset("cats", "ab" * 32)
METRICS = {"AP": 0.5, "AP50": 0.81}


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    store = FolderStore(tmp_path)
    plan = small_plan(image_size=320, steps=100)
    store.write(keys.plan("cats"), plan.model_copy(update={"reasons": dict.fromkeys(plan.choices, "as asked")}).dump())
    contents: dict[str, Any] = {
        keys.result("cats", "ingest"): {"dataset": DATASET, "duration_sec": 1.5},
        keys.result("cats", "preprocess"): {"records": "records/a/b", "splits": {}, "max_boxes": 1},
        keys.result("cats", "train"): {"steps": 100, "best_step": 90, "duration_sec": 60.0},
        keys.manifest(DATASET): {
            "name": "cats",
            "sha256": "ab" * 32,
            "labels": ["cat"],
            "splits": {},
            "median_size": [64, 48],
        },
        keys.data_report(DATASET, "json"): {"name": "cats", "splits": {"test": {"images": 12, "boxes": 20}}},
        keys.best("cats"): {
            "step": 90,
            "split": "test",
            "chosen_on": "test",
            "note": "It flatters.",
            "images": 12,
            "metrics": METRICS,
            "per_class": [{"label": "cat", **METRICS, "images": 12, "boxes": 20}],
            "last": {"step": 100, "split": "test", "metrics": METRICS},
        },
        keys.export_manifest("cats"): {
            "preset": "retinanet_resnet10_320",
            "step": 90,
            "image_size": 320,
            "labels": ["cat"],
            "versions": {"slipway": "0.1.0"},
            "files": {"label_map.pbtxt": "0" * 64},
        },
    }
    for key, content in contents.items():
        store.write(key, json.dumps(content).encode())
    store.write(keys.label_map(DATASET), LabelMap(("cat",)).dump().encode())
    rows = [MeasuredRow.of(step, "test", 1.5, CocoMetrics.model_validate(METRICS)) for step in (90, 100)]
    write_lines(store, keys.metrics("cats"), rows)
    return store


def test_the_report_holds_what_the_stages_left(store: ObjectStore) -> None:
    report = assemble(RUN, store, [], 2.5)

    assert report.durations == {"ingest": 1.5, "train": 60.0, "detect": 2.5}
    assert report.lineage == {
        "run": RUN.spec.digest(),
        "source": SOURCE,
        "dataset": "ab" * 32,
        "records": "records/a/b",
        "preset": "retinanet_resnet10_320",
        "seed": "7",
        "checkpoint step": "90",
        "slipway": "0.1.0",
    }
    assert report.best and report.best.last and report.best.last.step == 100
    assert [row.step for row in report.metrics] == [90, 100]
    assert report.plan and report.plan.choices["steps"] == Choice(value=100, reason="as asked")


def test_what_was_never_written_is_left_out_of_the_page(store: ObjectStore) -> None:
    report = assemble(RUN, store, [], 2.5)

    assert (report.progress, report.curves) == ([], {})
    assert "AP50 0.81, AP 0.50 on 12 test images (best checkpoint, step 90)" in run_report(report)


def test_few_images_are_a_caveat_beside_the_evaluators_own(store: ObjectStore) -> None:
    report = assemble(RUN, store, [], 2.5)

    assert report.caveats == ["Measured on 12 test images only: the figures are noisy by several points."]
    assert "It flatters." in run_report(report)


@pytest.mark.parametrize("requested", [None, 0.2])
def test_the_threshold_of_the_run_file_is_in_the_report(store: ObjectStore, requested: float | None) -> None:
    detect = RUN.spec.detect.model_copy(update={"score_threshold": requested})
    run = RUN.model_copy(update={"spec": RUN.spec.model_copy(update={"detect": detect})})

    assert assemble(run, store, [], 2.5).requested_threshold == requested


def test_the_python_example_compiles_and_names_the_export(store: ObjectStore) -> None:
    command, module, snippet = assemble(RUN, store, [], 2.5).usage

    compile(snippet, "usage", "exec")
    assert "runs/cats/export/saved_model" in snippet
    assert command.endswith("slipway detect runs/cats/export IMAGES --out DETECTIONS")
    assert module.startswith("python -m services.detector.detect_folder --model runs/cats/export")


def test_a_run_that_was_not_exported_has_no_report(store: ObjectStore) -> None:
    store.delete(keys.export_manifest("cats"))

    with pytest.raises(MissingKey, match=r"manifest\.json: no such key"):
        assemble(RUN, store, [], 2.5)


def test_trainings_on_shares_of_the_images_are_drawn_with_what_they_say(store):
    points = (
        {"run": "cats-1", "images": 25, "ap": 0.2, "ap50": 0.41},
        {"run": "cats-2", "images": 50, "ap": 0.3, "ap50": 0.6},
    )
    curve = {"split": "test", "images": 12, "boxes": 20, "points": points}
    store.write(keys.learning_curve("cats"), json.dumps(curve).encode())
    manifest = json.loads(store.read(keys.manifest(DATASET)))
    manifest["splits"] = {"train": {"images": 100, "boxes": 200, "shards": 1}}
    store.write(keys.manifest(DATASET), json.dumps(manifest).encode())
    page = run_report(assemble(RUN, store, [], 1.0))
    assert "<h2>Would more images help?</h2>" in page
    assert "From 25 to 50 to 100 training images AP50 was 0.41, 0.60, 0.81: doubling them again would add about" in page
    assert "AP50: 0.81 at training images 100" in page


def test_a_run_without_trainings_on_shares_has_no_such_section(store):
    assert "Would more images help?" not in run_report(assemble(RUN, store, [], 1.0))
