"""Progress of a training as it is stored; TensorBoard's writer is replaced by one that keeps its values."""

import json
import sys
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from slipway import keys
from slipway.run.plan import Plan
from slipway.store.folder import FolderStore

from services.trainer.journal import Journal, LoopMetrics


@pytest.fixture
def summaries(monkeypatch):
    """Return the names and values that are written to the event file."""
    values = []
    writer = SimpleNamespace(as_default=lambda step: nullcontext(), flush=lambda: None)
    summary = SimpleNamespace(
        create_file_writer=lambda folder: writer, scalar=lambda name, value: values.append((name, value))
    )
    config = SimpleNamespace(list_logical_devices=lambda kind: [])
    monkeypatch.setitem(sys.modules, "tensorflow", SimpleNamespace(summary=summary, config=config))
    return values


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path / "store")


@pytest.fixture
def journal(store, summaries, tmp_path):
    folder = tmp_path / "events"
    folder.mkdir()
    (folder / "events.out.tfevents.1").write_bytes(b"curves")
    plan = Plan(
        preset="retinanet_resnet10_320",
        image_size=128,
        batch_size=4,
        steps=60,
        learning_rate=0.001,
        checkpoint_every=20,
        initial_checkpoint="run:lakes",
        initial_checkpoint_sha256="ab" * 32,
    )
    return Journal(store, "ponds", plan, folder)


def loop(step, loss=0.5):
    return LoopMetrics(step, loss, 0.25, {"learning_rate": 0.001, "box_loss": 0.1})


def stored_lines(store):
    return [json.loads(line) for line in store.read(keys.progress("ponds")).splitlines()]


def test_the_first_loop_has_no_rates_since_it_traces_the_graph(store, journal):
    journal.record_loop(loop(10))
    journal.record_loop(loop(20))
    journal.record_checkpoint(20)
    first, second = stored_lines(store)
    assert first == {"step": 10, "loss": 0.5, "learning_rate": 0.001, "box_loss": 0.1}
    assert second.pop("images_per_sec") > 0
    assert second == {"step": 20, "loss": 0.5, "learning_rate": 0.001, "input_wait_ratio": 0.25, "box_loss": 0.1}


def test_a_restart_continues_the_lines_before_its_checkpoint(store, journal):
    lines = [{"step": step, "loss": 0.9, "learning_rate": 0.001, "box_loss": 0.2} for step in (10, 20, 30)]
    store.write(keys.progress("ponds"), b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    journal.record_loop(loop(30))  # from the checkpoint of step 20
    journal.record_checkpoint(30)
    assert [(line["step"], line["loss"]) for line in stored_lines(store)] == [(10, 0.9), (20, 0.9), (30, 0.5)]


def test_every_number_but_the_step_is_drawn_and_the_event_file_is_uploaded(store, journal, summaries):
    journal.record_loop(loop(10))
    journal.record_checkpoint(10)
    assert sorted(summaries) == [("box_loss", 0.1), ("learning_rate", 0.001), ("loss", 0.5)]
    assert store.read("runs/ponds/train/events.out.tfevents.1") == b"curves"


def test_what_was_restored_is_written_with_its_source(store, journal):
    journal.record_weights({"backbone": 60}, {"head": 14})
    assert json.loads(store.read("runs/ponds/train/weights.json")) == {
        "address": "run:lakes",
        "sha256": "ab" * 32,
        "restored": {"backbone": 60},
        "new": {"head": 14},
    }
