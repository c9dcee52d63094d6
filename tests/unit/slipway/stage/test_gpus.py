import pytest

from slipway.metrics import registry
from slipway.stage import gpus

SMI = """#!/bin/sh
echo "$@" >> "$0.asked"
echo "0, 35, 1024, 16384"
echo "1, [N/A], 10, 16384"
"""
LABELS = [{"gpu": "2.0"}, {"gpu": "2.1"}]


@pytest.fixture
def on_path(tmp_path, monkeypatch):
    """Put a program in the place of `nvidia-smi`, and let each test have gauges that were never set."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    stage_registry = registry.CollectorRegistry()
    for module in (registry, gpus):
        monkeypatch.setattr(module, "STAGE", stage_registry)
    fresh = {}
    for name, (gauge, unit) in gpus._COLUMNS.items():
        fresh[name] = (registry.StageGauge(gauge.spec.name, gauge.spec.help, **gauge.spec.labels), unit)
    monkeypatch.setattr(gpus, "_COLUMNS", fresh)

    def put(script):
        program = tmp_path / "nvidia-smi"
        program.write_text(script)
        program.chmod(0o700)
        return program

    return put


def told():
    """Collect twice: what the first collection learns, the second tells."""
    list(registry.STAGE.collect())
    return [(s.name, s.labels, s.value) for metric in registry.STAGE.collect() for s in metric.samples]


def test_use_and_memory_of_each_gpu_are_told_in_base_units(on_path):
    on_path(SMI)
    gpus.watch_gpus(worker=2)
    assert told() == [
        ("slipway_gpu_utilization_ratio", LABELS[0], pytest.approx(0.35)),
        ("slipway_gpu_memory_used_bytes", LABELS[0], 1024 * 2**20),
        ("slipway_gpu_memory_used_bytes", LABELS[1], 10 * 2**20),
        ("slipway_gpu_memory_total_bytes", LABELS[0], 16384 * 2**20),
        ("slipway_gpu_memory_total_bytes", LABELS[1], 16384 * 2**20),
    ]


def test_nvidia_smi_is_asked_at_most_every_ten_seconds(on_path):
    program = on_path(SMI)
    gpus.watch_gpus(worker=0)
    told()
    told()
    asked = program.with_name("nvidia-smi.asked").read_text().splitlines()
    query = "--query-gpu=index,utilization.gpu,memory.used,memory.total --format=csv,noheader,nounits"
    assert asked == [query]


@pytest.mark.parametrize(
    "script",
    [
        pytest.param("#!/bin/sh\nexit 9\n", id="fails"),
        pytest.param("#!/bin/sh\necho NVIDIA-SMI has failed\n", id="says-something-else"),
        pytest.param("no program", id="cannot-run"),
    ],
)
def test_a_broken_nvidia_smi_tells_nothing(on_path, script):
    on_path(script)
    gpus.watch_gpus(worker=0)
    assert told() == []


def test_nothing_is_told_where_there_is_none(on_path, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    gpus.watch_gpus(worker=0)
    assert told() == []
