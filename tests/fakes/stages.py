"""Fakes of the services: `python tests/fakes/stages.py MODULE`, with the real stage runner around them.

`FAKE_STAGES` names a folder with a file for each module: its lines are the behaviours of the module's first, second and
further starts, the last line is that of all later ones. A module without a file does its work.
"""

import logging
import math
import os
import signal
import sys
import time
from pathlib import Path

from slipway import keys
from slipway.artifacts.dataset import DataReport, Faults, Finding, IngestResult, ManifestSplit, SplitCounts
from slipway.artifacts.evaluation import BestCheckpoint, MeasuredRow
from slipway.artifacts.json_io import read_lines, write_document, write_lines
from slipway.artifacts.outcome import StageResult
from slipway.artifacts.training import TrainResult
from slipway.errors import InputError, Stopped, TransientError
from slipway.events import event, start_log
from slipway.run.names import PROCESSES
from slipway.run.plan import resolve
from slipway.run.spec import TrainSpec
from slipway.stage.runner import StageParams, run_stage, write_result
from slipway.store.interface import ObjectStore

DATASET = "datasets/ponds/0ff1ce"
REPORT = DataReport(
    name="ponds",
    labels=("duck", "swan"),
    splits={
        "test": SplitCounts(images=2, boxes=3, per_class={"duck": 3}),
        "train": SplitCounts(images=8, boxes=9, per_class={"duck": 7, "swan": 2}),
    },
    counts={"box_empty": 1},
    notes=(),
    findings=(
        Finding(
            code="box_empty",
            severity=os.environ.get("FAKE_SEVERITY", "warning"),
            file="a.xml",
            object=2,
            message="the box has no area",
            action="dropped",
        ),
    ),
)
BEST = BestCheckpoint.model_validate(
    {
        "step": 20,
        "split": "test",
        "chosen_on": "test",
        "note": "chosen on the test images",
        "images": 2,
        "metrics": {"AP": 0.512, "AP50": 0.834, "AP75": 0.6},
        "per_class": [
            {"label": "duck", "AP": 0.512, "AP50": 0.834, "images": 2, "boxes": 3},
            {"label": "swan", "AP": -1, "AP50": -1, "images": 0, "boxes": 0},
        ],
        "operating_points": {
            "split": "test",
            "overall": {"threshold": 0.35, "precision": 0.9, "recall": 0.8, "f1": 0.847},
            "reported": {"precision": 0.91, "recall": 0.8, "f1": 0.851},
        },
        "last": {"step": 30, "split": "test", "metrics": {"AP": 0.5, "AP50": 0.8, "AP75": 0.6}},
    }
)


def ingest(params: StageParams, store: ObjectStore) -> None:
    event("progress", done=10, total=10, unit="images")
    write_document(store, keys.data_report(DATASET, "json"), REPORT)
    store.write(keys.data_report(DATASET, "html"), b"<html>")
    store.write(keys.plan(params.name), resolve(TrainSpec(), 8, (320, 240)).dump())
    event("resolved", steps=1000)
    images = round(80 * (params.run.spec.ingest.train_share or 1))
    splits = {
        "train": ManifestSplit(images=images, boxes=images, shards=1),
        "test": ManifestSplit(images=20, boxes=40, shards=1),
    }
    write_result(store, params.name, "ingest", IngestResult(dataset=DATASET, splits=splits, duration_sec=0.1))


def train(params: StageParams, store: ObjectStore) -> None:
    event("step", step=10, steps=30, loss=0.5, images_per_sec=12.5)
    while store.stat(keys.best(params.name)) is None:
        time.sleep(0.02)
    write_result(store, params.name, "train", TrainResult(steps=30, best_step=20, duration_sec=65.0))


def evaluate(params: StageParams, store: ObjectStore) -> None:
    """Measure an AP50 of 0.834, and 0.1 less for each halving of the training images."""
    event("evaluated", step=20, split="test", AP=0.512, AP50=0.834)
    loss = 0.1 * math.log2(params.run.spec.ingest.train_share or 1)
    metrics = BEST.metrics.model_copy(update={"ap": BEST.metrics.ap + loss, "ap50": BEST.metrics.ap50 + loss})
    write_document(store, keys.best(params.name), BEST.model_copy(update={"metrics": metrics}))


def train_slowly(params: StageParams, store: ObjectStore) -> None:
    """Train until every evaluation of `evaluate_on_val` is there; stop when asked to, as the trainer does."""
    event("step", step=10, steps=50, loss=0.5)
    while store.stat(keys.best(params.name)) is None:
        if params.stopping.wait(0.02):
            raise Stopped("stopped at step 20 of 50, which is saved; run the same command again to carry on")
    write_result(store, params.name, "train", TrainResult(steps=50, best_step=50, duration_sec=65.0))


def evaluate_on_val(params: StageParams, store: ObjectStore) -> None:
    """Measure five checkpoints: the n-th has an AP of n times the learning rate; on test the best has half of that.

    A learning rate below 0.1 leaves time to stop the run after its third evaluation.
    """
    rate = params.run.spec.train.learning_rate or 0.1
    rows: list[MeasuredRow] = read_lines(store, keys.metrics(params.name), MeasuredRow)
    for number in range(len(rows) + 1, 6):
        metrics = {"AP": round(number * rate, 6), "AP50": round(1.5 * number * rate, 6)}
        rows.append(MeasuredRow.model_validate({"step": 10 * number, "split": "val", **metrics}))
        write_lines(store, keys.metrics(params.name), rows)
        event("evaluated", step=10 * number, split="val", **metrics)
        if params.stopping.wait(10 if number == 3 and rate < 0.1 else 0.02):
            raise Stopped("stopped")
    test = {"AP": round(2.5 * rate, 6), "AP50": round(4 * rate, 6)}
    best = {"step": 50, "split": "test", "chosen_on": "val", "images": 40, "metrics": test}
    write_document(store, keys.best(params.name), BestCheckpoint.model_validate(best))


def other(params: StageParams, store: ObjectStore) -> None:
    write_result(store, params.name, process_name(), StageResult(duration_sec=0.2))


def misbehave(params: StageParams, store: ObjectStore) -> None:
    match behaviour():
        case "input" | "input-once-another-runs":
            while behaviour() != "input" and not pid_file().exists():
                time.sleep(0.02)
            raise InputError("a.jpg: this is no image; remove it")
        case "faults":
            write_document(store, keys.faults(params.name), Faults(REPORT.findings))
            raise InputError(f"{REPORT.findings[0]}\nso no image is left")
        case "retry" | "full":
            raise TransientError("the store has no room left")
        case "bug":
            raise ZeroDivisionError("nothing by nothing")
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "stubborn":
            write_pid()
            time.sleep(20)
        case "long":
            event("step", step=7, steps=20, loss=0.5)
            write_pid()
            params.stopping.wait(20)
            raise Stopped("stopped at step 7 of 20, which is saved; run the same command again to carry on")
    # A "silent" one ends well, but without a result.


def pid_file() -> Path:
    return Path(os.environ["FAKE_STAGES"]) / "pid"


def write_pid() -> None:
    pid_file().write_text(str(os.getpid()))


def process_name() -> str:
    """Return the process's name in logs, from the module on the command line."""
    return next((process.name for process in PROCESSES if process.module == sys.argv[1]), sys.argv[1])


def count_starts() -> int:
    """Record this start of the module, and return the number of its starts so far."""
    log = Path(os.environ["FAKE_STAGES"]) / f"{sys.argv[1]}.starts"
    with log.open("a") as file:
        file.write(f"{os.environ.get('SLIPWAY_ATTEMPT', '')}\n")
    return len(log.read_text().splitlines())


def behaviour() -> str:
    file = Path(os.environ["FAKE_STAGES"]) / sys.argv[1]
    lines = file.read_text().splitlines() if file.exists() else ["work"]
    return lines[min(int(os.environ["FAKE_START"]), len(lines)) - 1]


def main() -> int:
    os.environ["FAKE_START"] = str(count_starts())
    if behaviour() == "crash":
        print("Fatal: cannot load libnowhere.so", file=sys.stderr)
        return 3
    if behaviour() == "tell":
        start_log("detect", "ponds", "text")
        event("stage_failed", logging.ERROR, error="none of 3 images could be read")
        return 65
    slow_work = {"train": train_slowly, "evaluate": evaluate_on_val}.get(process_name(), other)
    work = {"ingest": ingest, "train": train, "evaluate": evaluate}.get(process_name(), other)
    function = {"work": work, "slow": slow_work}.get(behaviour(), misbehave)
    code = run_stage(process_name(), function, graceful=behaviour() in ("slow", "long", "stubborn"))
    if behaviour() == "full":  # the disk takes the file, but nothing into it
        Path(os.environ["SLIPWAY_TERMINATION_LOG"]).write_text("")
    return code


if __name__ == "__main__":
    raise SystemExit(main())
