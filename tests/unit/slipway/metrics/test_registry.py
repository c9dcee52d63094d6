import time

import pytest

from slipway.metrics import registry
from slipway.metrics.registry import StageGauge


@pytest.fixture
def gauge(monkeypatch):
    monkeypatch.setattr(registry, "STAGE", registry.CollectorRegistry())
    return StageGauge("slipway_test_boats", "Boats.")


def told():
    return {sample.name: sample.value for metric in registry.STAGE.collect() for sample in metric.samples}


def test_a_gauge_tells_nothing_before_it_was_set(gauge):
    assert told() == {}
    gauge.set(7)
    gauge.set(8)
    assert told() == {"slipway_test_boats": 8}


def test_a_gauge_adds_up(gauge):
    gauge.add(7)
    gauge.add(8)
    assert told() == {"slipway_test_boats": 15}


def test_what_takes_time_is_timed(gauge):
    with gauge.time():
        time.sleep(0.01)
    assert 0.01 <= told()["slipway_test_boats"] < 5


def test_what_fails_has_no_duration(gauge):
    with pytest.raises(ZeroDivisionError), gauge.time():
        raise ZeroDivisionError
    assert told() == {}
