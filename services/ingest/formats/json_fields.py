"""Fields of JSON annotations, of any type: each becomes a value of the expected type, or one that stands for none."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from slipway.dataset.boxes import Box, ImageSize

LONGEST_SIDE = 1e6  # pixels; more is a slip of the pen, and would fill the report with digits


def number(value: Any) -> float:
    """Return the number, also of a string that holds one; NaN for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return math.nan
    try:
        result = float(value)
    except (ValueError, OverflowError):
        return math.nan
    return result if math.isfinite(result) else math.nan


def numbers(values: Any) -> list[float]:
    """Return the numbers of a list; nothing for anything else."""
    return [number(value) for value in values] if isinstance(values, list | tuple) else []


def text(value: Any) -> str:
    """Return the string without spaces around it, or a number as a string; empty for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return ""
    return str(value).strip()


def records(value: Any) -> list[dict[str, Any]]:
    """Return the objects of a list; nothing for anything else."""
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def fields(value: Any) -> dict[str, Any]:
    """Return the object; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def image_size(width: Any, height: Any) -> ImageSize | None:
    sides = number(width), number(height)
    is_size = all(1 <= side < LONGEST_SIDE for side in sides)
    return ImageSize(int(sides[0]), int(sides[1])) if is_size else None


def bounds(points: Iterable[Sequence[float]]) -> Box:
    """Return the smallest upright box around points; of NaN when there is none, or one is not a point."""
    pairs = [tuple(point) for point in points]
    if not pairs or any(len(pair) != 2 or math.isnan(sum(pair)) for pair in pairs):
        return Box(math.nan, math.nan, math.nan, math.nan)
    xs, ys = zip(*pairs, strict=True)
    return Box(min(xs), min(ys), max(xs), max(ys))
