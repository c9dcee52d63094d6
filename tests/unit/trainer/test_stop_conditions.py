"""Reasons to leave the training loop before its last step."""

import threading
import time

from services.trainer.stop_conditions import StopConditions


def test_sigterm_is_a_preemption_and_not_an_end():
    stopping = threading.Event()
    conditions = StopConditions(stopping, wants_stop=lambda: False)
    assert not conditions.is_preempted
    stopping.set()
    assert conditions.is_preempted
    assert not conditions.is_over()


def test_exhausted_patience_ends_the_training():
    assert StopConditions(threading.Event(), wants_stop=lambda: True).is_over()


def test_used_up_time_limit_ends_the_training():
    conditions = StopConditions(threading.Event(), lambda: False, deadline=time.monotonic() - 1)
    assert conditions.is_over()
    assert not StopConditions(threading.Event(), lambda: False, deadline=time.monotonic() + 60).is_over()
