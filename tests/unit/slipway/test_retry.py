import pytest

from slipway import retry
from slipway.errors import InputError, StoreUnavailable, TransientError
from slipway.retry import Patience, with_retries


class Clock:
    """Moves only while somebody sleeps."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(retry, "time", clock)
    monkeypatch.setattr(retry.random, "uniform", lambda low, high: high)
    return clock


def failing(times, error=StoreUnavailable):
    """Return a call that fails so often and then returns how often it was made."""
    calls = []

    def call():
        calls.append(1)
        if len(calls) <= times:
            raise error("away")
        return len(calls)

    return call


def test_pauses_grow_until_there_is_a_result(clock):
    assert with_retries(failing(4), Patience(60)) == 5
    assert clock.now == pytest.approx(0.1 + 0.2 + 0.4 + 0.8)


def test_the_failure_is_raised_when_the_next_try_would_be_too_late(clock):
    with pytest.raises(StoreUnavailable, match="away"):
        with_retries(failing(10), Patience(1.0))
    assert clock.now == pytest.approx(0.1 + 0.2 + 0.4)


def test_another_error_is_raised_at_once(clock):
    with pytest.raises(InputError):
        with_retries(failing(1, InputError), Patience(60))
    assert clock.now == 0


def test_the_limit_runs_from_the_first_failure_unless_it_was_started(clock):
    waiting, started = Patience(10), Patience(10).start()
    clock.now = 11.0
    waiting.wait(TransientError("away"))
    with pytest.raises(TransientError):
        started.wait(TransientError("away"))


def test_progress_renews_patience(clock):
    patience = Patience(0.15)
    patience.wait(TransientError("away"))
    patience.renew()
    patience.wait(TransientError("away"))
    assert clock.now == pytest.approx(0.2)


def test_a_server_that_names_a_pause_is_given_it(clock):
    failure = TransientError("busy")
    failure.after_sec = 7
    Patience(60).wait(failure)
    assert clock.now == 7


@pytest.mark.usefixtures("clock")
def test_only_the_first_failure_is_announced():
    notices = []
    with_retries(failing(3), Patience(60, lambda failure: notices.append(str(failure))))
    assert notices == ["away"]
