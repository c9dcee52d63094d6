"""Reasons to leave the training loop early."""

import threading
import time

from services.trainer.stop_conditions import Watch


def test_sigterm_is_a_preemption_and_not_an_end():
    stopping = threading.Event()
    watch = Watch(stopping, wants_stop=lambda: False)
    assert not watch.is_preempted
    stopping.set()
    assert watch.is_preempted
    assert not watch.is_over()


def test_exhausted_patience_ends_the_training():
    assert Watch(threading.Event(), wants_stop=lambda: True).is_over()


def test_used_up_time_limit_ends_the_training():
    watch = Watch(threading.Event(), lambda: False, deadline=time.monotonic() - 1)
    assert watch.is_over()
    assert not Watch(threading.Event(), lambda: False, deadline=time.monotonic() + 60).is_over()
