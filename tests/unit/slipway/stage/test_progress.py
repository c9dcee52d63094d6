import logging
from itertools import count

import pytest

from slipway.stage import progress
from slipway.stage.progress import tracked


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.INFO, logger="slipway.events")
    return lambda: [record.fields for record in caplog.records if record.getMessage() == "progress"]


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on by a quarter of a second each time it is looked at."""
    ticks = count()
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(ticks) * 0.25)


def test_items_are_passed_on_in_order():
    assert list(tracked("abc", 3)) == ["a", "b", "c"]


def test_progress_is_said_twice_a_second_and_at_the_end(said, clock):
    list(tracked(range(5), 5))
    assert said() == [
        {"done": 2, "total": 5, "unit": "images", "rate": 4.0},
        {"done": 4, "total": 5, "unit": "images", "rate": 4.0},
        {"done": 5, "total": 5, "unit": "images", "rate": 4.0},
    ]


def test_quick_loop_says_only_its_end(said):
    list(tracked(range(1000), 1000))
    assert [fields["done"] for fields in said()] == [1000]


def test_loop_that_breaks_off_says_no_end(said):
    for item in tracked(range(1000), 1000):
        if item == 3:
            break
    assert said() == []


def test_item_counts_once_it_was_used(said):
    items = tracked(range(1), 1)
    next(items)
    assert said() == []
    assert list(items) == []
    assert [fields["done"] for fields in said()] == [1]


def test_nothing_to_do_says_nothing(said):
    assert list(tracked([], 0)) == []
    assert said() == []
