"""The command as a user types it: real processes, and a real training of a few steps."""

import json

import pytest

from tests.integration.command import digests, lines, slipway

from services.evaluator.coco import NAMES

pytestmark = pytest.mark.slow


def test_one_command_leaves_every_artifact(finished):
    run = finished.folder
    expected = {
        "run.json",
        "report.html",
        "ingest/resolved.yaml",
        "train/pipeline.yaml",
        "train/progress.jsonl",
        "evaluate/best.json",
        "evaluate/curves.json",
        "evaluate/errors.json",
        "export/saved_model/saved_model.pb",
        "export/label_map.pbtxt",
        "export/model_card.md",
        "export/manifest.json",
        "detect/detections.json",
    }
    assert {name for name in expected if not (run / name).is_file()} == set()
    for stage in ("train", "evaluate"):
        assert list((run / stage).glob("events.out.tfevents.*"))
    (events,) = (run / "evaluate").glob("events.out.tfevents.*")
    assert all(f"truth_and_detections/{number}".encode() in events.read_bytes() for number in range(3))
    assert len(list((run / "detect").rglob("*.jpg"))) == 10


def test_last_lines_name_the_ap50_and_the_report(finished):
    run = finished.folder
    ap50 = json.loads((run / "evaluate/best.json").read_text())["metrics"]["AP50"]
    closing = finished.stdout.rpartition("detections:")[2]
    assert f"AP50 {ap50:.3f} on test" in closing
    assert str(run / "report.html") in closing.replace("\n", "")


def test_users_files_are_not_touched(finished, harbour):
    assert digests(harbour) == finished.source_digests


def test_each_checkpoint_is_measured_and_the_loss_falls(finished):
    run = finished.folder
    rows = lines(run / "evaluate/metrics.jsonl")
    assert [(row["step"], row["split"]) for row in rows] == [(20, "test"), (40, "test"), (60, "test")]
    losses = [row["loss"] for row in lines(run / "train/progress.jsonl")]
    assert losses[-1] < losses[0]


def test_same_command_again_does_nothing(finished):
    before = digests(finished.out)
    assert slipway(*finished.words).returncode == 0
    assert digests(finished.out) == before


@pytest.mark.filterwarnings("ignore")  # what Model Garden's own modules say as they are imported
def test_metrics_equal_those_of_model_gardens_own_evaluation(finished):
    import tensorflow as tf
    import yaml
    from official.core import exp_factory, task_factory
    from official.vision.tasks import retinanet as _tasks  # noqa: F401  # registers experiments and task

    run = finished.folder
    rows = lines(run / "evaluate/metrics.jsonl")
    config = exp_factory.get_exp_config("retinanet_resnetfpn_coco")
    config.override(yaml.safe_load((run / "train/pipeline.yaml").read_text()), is_strict=False)
    records = json.loads((run / "preprocess/result.json").read_text())["records"]
    pattern = str(run.parent.parent / records / "test-*.tfrecord")
    task = task_factory.get_task(config.task)
    model = task.build_model()
    task.build_metrics(training=False)
    checkpoint = run / "train" / f"ckpt-{rows[-1]['step']}"
    tf.train.Checkpoint(model=model).read(str(checkpoint)).expect_partial()
    state = None
    for inputs in task.build_inputs(config.task.validation_data.replace(input_path=pattern)):
        state = task.aggregate_logs(state, task.validation_step(inputs, model))
    theirs = task.reduce_aggregated_logs(state)
    assert rows[-1]["ARmax100"] > 0
    # Model Garden's truth went through float32 and a resize, ours is the annotation itself.
    assert {name: rows[-1][name] for name in NAMES} == pytest.approx({n: theirs[n] for n in NAMES}, abs=2e-3)
