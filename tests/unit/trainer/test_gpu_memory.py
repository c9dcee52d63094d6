from types import SimpleNamespace

import pytest

from services.trainer import gpu_memory
from services.trainer.gpu_memory import record_gpu_memory

MEMORY = {"GPU:0": {"current": 100, "peak": 900}, "GPU:1": {"current": 200, "peak": 900}}


@pytest.fixture
def gauge_values(monkeypatch):
    """Return each value that is set, as (bytes, gpu)."""
    values = []
    gauge = SimpleNamespace(set=lambda value, gpu: values.append((value, gpu)))
    monkeypatch.setattr(gpu_memory, "GPU_USED", gauge)
    return values


def config(gpus):
    """Return a fake of `tf.config` on a machine with so many GPUs."""
    memory = SimpleNamespace(get_memory_info=MEMORY.__getitem__)
    return SimpleNamespace(list_logical_devices=lambda kind: gpus * [kind], experimental=memory)


def test_tensorflows_figure_is_exported_where_there_is_no_nvidia_smi(gauge_values, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    record_gpu_memory(config(2))
    assert gauge_values == [(100, "0.0"), (200, "0.1")]


def test_nothing_is_exported_without_a_gpu(gauge_values, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    record_gpu_memory(config(0))
    assert gauge_values == []


def test_tensorflow_is_not_asked_where_nvidia_smi_is_present(gauge_values, monkeypatch, tmp_path):
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\n")
    (tmp_path / "nvidia-smi").chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    record_gpu_memory(config(2))
    assert gauge_values == []
