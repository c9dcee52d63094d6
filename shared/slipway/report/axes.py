"""One axis of a chart: its range, its ticks and the labels of its ticks."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Axis:
    """A labelled range; `fit` takes a `low` or `high` of None from the values.

    Attributes:
      label: With its unit, such as "images per second".
      low: Lower end, in the data's unit. None starts at 0 unless a value is negative.
      high: Upper end, in the data's unit. None ends at the first tick above all values.
      is_log: Whether the scale is logarithmic; values of 0 and below cannot be shown then.
    """

    label: str
    low: float | None = None
    high: float | None = None
    is_log: bool = False

    def fit(self, values: Iterable[float]) -> "Axis":
        """Fill in the open ends; NaN and infinity are ignored, and the range is never empty."""
        finite = [v for v in values if math.isfinite(v) and (v > 0 or not self.is_log)] or [1.0]
        low = self.low if self.low is not None else min(finite) if self.is_log else min(0.0, *finite)
        high = self.high if self.high is not None else max(finite)
        if self.is_log:
            low = 10.0 ** math.floor(math.log10(low))
            return replace(self, low=low, high=max(10.0 ** math.ceil(math.log10(high)), low * 10))
        high = high if high > low else low + 1.0
        step = _step(low, high)
        if self.low is None:
            low = math.floor(low / step) * step
        return replace(self, low=low, high=high if self.high is not None else math.ceil(high / step - 1e-9) * step)

    def fraction(self, value: float) -> float:
        """Return the position of a value, from 0 (low end) to 1 (high end); NaN where it cannot be shown."""
        low, high = self.ends
        if self.is_log:
            return math.log(value / low) / math.log(high / low) if value > 0 else math.nan
        return (value - low) / (high - low)

    def ticks(self) -> list[float]:
        """List at most seven round values inside the range, ascending."""
        low, high = self.ends
        if self.is_log:
            first, last = round(math.log10(low)), round(math.log10(high))
            return [10.0**power for power in range(first, last + 1, 1 + (last - first) // 7)]
        step = _step(low, high)
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        return [index * step for index in range(first, last + 1)]

    @property
    def ends(self) -> tuple[float, float]:
        """Both ends of a fitted axis."""
        return self.low if self.low is not None else 0.0, self.high if self.high is not None else 1.0


def short(value: float) -> str:
    """Return the label of a tick: 20000 is "20k", 0.30000000000000004 is "0.3"."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if letter == 'k' else size):g}{letter}"
    return f"{value:,g}"


def thin(points: Sequence[Point], limit: int = 500) -> list[Point]:
    """Return at most `limit` points, among them the lowest and the highest of every stretch, so no spike is lost."""
    if len(points) <= limit:
        return list(points)
    buckets = limit // 2
    thinned: list[Point] = []
    for index in range(buckets):
        stretch = points[index * len(points) // buckets : (index + 1) * len(points) // buckets]
        finite = [p for p in stretch if math.isfinite(p[1])] or stretch[:1]
        thinned += sorted({min(finite, key=lambda p: p[1]), max(finite, key=lambda p: p[1])})
    return thinned


def smooth(points: Sequence[Point], window: int) -> list[Point]:
    """Average each value with the `window` before it; values that are not finite are left out."""
    finite = [p for p in points if math.isfinite(p[1])]
    total, result = 0.0, []
    for index, (x, y) in enumerate(finite):
        total += y - (finite[index - window][1] if index >= window else 0.0)
        result.append((x, total / min(index + 1, window)))
    return result


def _step(low: float, high: float) -> float:
    """Choose 1, 2 or 5 times a power of ten so that the range has four to seven ticks."""
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    return power * next(factor for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
