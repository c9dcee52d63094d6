from types import SimpleNamespace

import pytest

from services.trainer import gpu_memory
from services.trainer.gpu_memory import tell_memory

USED = {"GPU:0": {"current": 100, "peak": 900}, "GPU:1": {"current": 200, "peak": 900}}


@pytest.fixture
def told(monkeypatch):
    """Return what is set, as (bytes, gpu)."""
    seen = []
    gauge = SimpleNamespace(set=lambda value, gpu: seen.append((value, gpu)))
    monkeypatch.setattr(gpu_memory, "GPU_USED", gauge)
    return seen


def config(gpus):
    """Stand for `tf.config` on a machine with so many GPUs."""
    memory = SimpleNamespace(get_memory_info=USED.__getitem__)
    return SimpleNamespace(list_logical_devices=lambda kind: gpus * [kind], experimental=memory)


def test_tensorflows_own_memory_is_told_where_there_is_no_nvidia_smi(told, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    tell_memory(config(2))
    assert told == [(100, "0.0"), (200, "0.1")]


def test_nothing_is_told_without_a_gpu(told, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    tell_memory(config(0))
    assert told == []


def test_where_nvidia_smi_is_it_alone_is_asked(told, monkeypatch, tmp_path):
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\n")
    (tmp_path / "nvidia-smi").chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    tell_memory(config(2))
    assert told == []
