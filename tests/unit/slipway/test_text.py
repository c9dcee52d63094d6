from datetime import UTC, datetime

import pytest

from slipway.text import (
    format_age,
    format_bytes,
    format_count,
    format_duration,
    format_value,
    parse_timestamp,
    seconds_between,
    timestamp,
)


@pytest.mark.parametrize(
    ("count", "noun", "text"), [(0, "finding", "0 findings"), (1, "finding", "1 finding"), (2, "box", "2 boxes")]
)
def test_a_number_has_its_noun_in_the_right_form(count, noun, text):
    assert format_count(count, noun) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1500, "1.5 kB"),
        (12_400, "12 kB"),
        (9_960_000, "10 MB"),
        (2.5e9, "2.5 GB"),
        (4e15, "4,000 TB"),
    ],
)
def test_a_size_reads(count, text):
    assert format_bytes(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.44, "0.4 s"),
        (9.96, "10 s"),
        (42.4, "42 s"),
        (59.7, "1 min 0 s"),
        (312, "5 min 12 s"),
        (2840, "47 min"),
        (3599.6, "1 h 0 min"),
        (12_010, "3 h 20 min"),
    ],
)
def test_a_duration_reads(seconds, text):
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "–"), (59, "just now"), (60, "1 min ago"), (7300, "2 h ago"), (200_000, "2 d ago")],
)
def test_an_age_reads_in_one_unit(seconds, text):
    assert format_age(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "none"),
        (320, "320"),
        (0.0020000001, "0.002"),
        ("retinanet", "retinanet"),
        ((0.5, 1.0), "0.5, 1"),
        ({"min_level": 3, "aspect_ratios": [0.5, 2.0]}, "min level 3; aspect ratios 0.5, 2"),
    ],
)
def test_a_setting_reads_as_text(value, text):
    assert format_value(value) == text


def test_a_timestamp_is_read_back():
    assert timestamp(1_769_860_800) == "2026-01-31T12:00:00Z"
    assert parse_timestamp("2026-01-31T12:00:00Z") == datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_a_time_without_a_zone_is_utc():
    assert parse_timestamp("2026-01-31T12:00:00") == datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("earlier", "later", "seconds"),
    [
        ("2026-01-31T12:00:00Z", "2026-01-31T14:00:01+01:00", 3601),
        ("2026-01-31T12:00:00Z", "2026-01-31T11:00:00Z", 0),
        (None, "2026-01-31T12:00:00Z", None),
        ("2026-01-31T12:00:00Z", "", None),
    ],
)
def test_seconds_between_two_timestamps(earlier, later, seconds):
    assert seconds_between(earlier, later) == seconds
