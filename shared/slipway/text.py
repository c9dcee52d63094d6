"""Values as text: bytes, durations, ages, timestamps, settings."""

import math
import time
from collections.abc import Mapping
from datetime import UTC, datetime

_UNITS = ("B", "kB", "MB", "GB", "TB")


def format_count(count: int, noun: str) -> str:
    """Return a number with its noun: "1 finding", "2 findings", "3 boxes"."""
    ending = "" if count == 1 else "es" if noun.endswith("x") else "s"
    return f"{count} {noun}{ending}"


def format_bytes(count: float) -> str:
    """Return a size in decimal units: "999 B", "1.5 kB", "12 MB"."""
    exponent = min(int(math.log10(max(count, 1)) // 3), len(_UNITS) - 1)
    scaled = count / 1000**exponent
    return f"{scaled:,.{0 if exponent == 0 or scaled >= 9.95 else 1}f} {_UNITS[exponent]}"


def format_duration(seconds: float) -> str:
    """Return a duration in at most two units: "0.4 s", "42 s", "5 min 12 s", "47 min", "3 h 20 min"."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(whole / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60:,} h {minutes % 60} min"


def format_age(seconds: float | None) -> str:
    """Return how long ago something was, in one unit; a dash where that is unknown."""
    if seconds is None:
        return "–"
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{int(seconds // length)} {unit} ago"
    return "just now"


def format_value(value: object) -> str:
    """Return a setting as text: "none", "true", "0.002", "0.5, 1, 2", "min level 3; anchor size 2.5"."""
    match value:
        case None:
            return "none"
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}"
        case list() | tuple():
            return ", ".join(map(format_value, value))
        case Mapping():
            return "; ".join(f"{str(name).replace('_', ' ')} {format_value(part)}" for name, part in value.items())
    return str(value)


def timestamp(moment: float | None = None) -> str:
    """Return a time, by default now, in RFC 3339 with whole seconds in UTC: "2026-01-31T12:00:00Z".

    Args:
      moment: Seconds since 1970.
    """
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def parse_timestamp(text: str) -> datetime:
    """Read an RFC 3339 time; one without a zone is UTC. Raises `ValueError`."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def seconds_between(earlier: str | None, later: str | None) -> float | None:
    """Return the seconds between two timestamps, at least 0; None where one is unknown."""
    if not earlier or not later:
        return None
    return max(0.0, (parse_timestamp(later) - parse_timestamp(earlier)).total_seconds())
