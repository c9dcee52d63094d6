"""The variables of each module of a checkpoint."""

import pytest

from slipway.weights.checkpoint.object_graph import read_modules, shape_text
from slipway.weights.checkpoint.table import BadCheckpoint
from tests.fakes import checkpoints
from tests.fakes.checkpoints import child, message, write_checkpoint


def test_shapes_are_counted_by_module(tmp_path):
    modules = {"backbone": [(3, 3, 3, 16), (16,), (16,)], "decoder": [], "head": [()]}
    write_checkpoint(tmp_path / "ckpt-1", modules)
    assert read_modules(tmp_path / "ckpt-1") == {
        "backbone": {"3x3x3x16": 1, "16": 2},
        "decoder": {},
        "head": {"scalar": 1},
    }


@pytest.mark.parametrize(
    "graph",
    [
        b"\xff",
        b"",
        message(1, child(9, "backbone")),
        message(1, b"\x0a\x04\x10\x01\x08\x01"),
        message(1, child(1, "backbone")) + message(1, message(2, message(1, b"VARIABLE_VALUE") + message(3, b"no"))),
    ],
    ids=["cut", "empty", "child-that-does-not-exist", "name-that-is-a-number", "tensor-that-does-not-exist"],
)
def test_damaged_graph_is_refused(tmp_path, monkeypatch, graph):
    monkeypatch.setattr(checkpoints, "object_graph", lambda modules: graph)
    write_checkpoint(tmp_path / "ckpt-1", {})
    with pytest.raises(BadCheckpoint, match="the object graph of ckpt-1 is damaged"):
        read_modules(tmp_path / "ckpt-1")


def test_objects_that_refer_to_one_another_are_counted_once(tmp_path, monkeypatch):
    graph = message(1, child(1, "backbone")) + message(1, child(0, "parent") + child(1, "self"))
    monkeypatch.setattr(checkpoints, "object_graph", lambda modules: graph)
    write_checkpoint(tmp_path / "ckpt-1", {})
    assert read_modules(tmp_path / "ckpt-1") == {"backbone": {}}


def test_shape_is_written_with_crosses():
    assert (shape_text((3, 1, 2)), shape_text(())) == ("3x1x2", "scalar")
