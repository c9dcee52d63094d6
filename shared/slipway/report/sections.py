"""The content of a report's sections as plain values, before any HTML."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from slipway.artifacts.dataset import DataReport, SplitCounts
from slipway.artifacts.evaluation import ClassScore, Curve, MeasuredRow, ScoreIntervals
from slipway.artifacts.learning_curve import LearningCurve
from slipway.artifacts.training import ProgressLine
from slipway.report.axes import Axis, Point, smooth
from slipway.report.charts import MOST_COLOURS, Bar, Mark, Series, bar_chart, line_chart, small_line

# Eight in a row make twelve rows; beyond that nobody compares curves by eye.
MOST_CURVES = 96
METRICS = {
    "AP": "mean over IoU 0.50 to 0.95",
    "AP50": "IoU at least 0.5",
    "AP75": "IoU at least 0.75, a tight box",
    "APs": "boxes under 32² pixels",
    "APm": "boxes of 32² to 96² pixels",
    "APl": "boxes over 96² pixels",
    "ARmax1": "recall with one detection an image",
    "ARmax10": "recall with ten",
    "ARmax100": "recall with a hundred",
}


@dataclass(frozen=True, slots=True)
class Chart:
    """One figure: `svg` is finished and escaped; the page writes title, legend and note."""

    title: str
    svg: str
    legend: Sequence[str] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class ClassRow:
    """Boxes of one class.

    Attributes:
      boxes: Number of boxes in each split.
      shares: Each split's share of the longest row, in percent.
    """

    label: str
    boxes: Sequence[int]
    shares: Sequence[float]

    @property
    def total(self) -> int:
        return sum(self.boxes)


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """The metrics of one class; ap and ap50 are None where it has no boxes, intervals where there are none."""

    label: str
    ap: float | None
    ap50: float | None
    images: int
    boxes: int
    intervals: ScoreIntervals | None = None


def measured(value: object) -> float | None:
    """Return a metric, or None for what COCO writes as -1 (no boxes), NaN and absent ones."""
    if isinstance(value, int | float) and math.isfinite(value) and value >= 0:
        return float(value)
    return None


def class_table(splits: Mapping[str, SplitCounts], labels: Sequence[str]) -> list[ClassRow]:
    """Count boxes per class, the most frequent first."""
    counts = [split.per_class for split in splits.values()]
    names = dict.fromkeys([*labels, *(label for per_class in counts for label in per_class)])
    boxes = {name: [per_class.get(name, 0) for per_class in counts] for name in names}
    longest = max(map(sum, boxes.values()), default=0) or 1
    rows = [ClassRow(name, row, [100 * count / longest for count in row]) for name, row in boxes.items()]
    return sorted(rows, key=lambda row: -row.total)


def training_charts(progress: Sequence[ProgressLine]) -> list[Chart]:
    """Draw loss, learning rate and speed over the global step; those that were never reported are left out."""
    loss = _points((line.step, line.loss) for line in progress)
    rate = _points((line.step, line.learning_rate) for line in progress if "learning_rate" in line.model_fields_set)
    speed = _points((line.step, line.images_per_sec) for line in progress)
    charts = []
    if loss:
        charts.append(_noisy_chart("Training loss", "loss", loss))
    if rate:
        svg = line_chart("Learning rate", [Series("learning rate", rate)], (Axis("step"), Axis("")))
        charts.append(Chart("Learning rate", svg))
    if speed:
        charts.append(_noisy_chart("Speed", "images per second", speed))
    return charts


def ap_chart(metrics: Sequence[MeasuredRow], best_step: int | None = None, split: str | None = None) -> Chart | None:
    """Draw AP50, AP and AP75 of every checkpoint that was measured on a split.

    Args:
      split: The split on which the best was chosen; that of the last row when None.
    """
    split = split or (metrics[-1].split if metrics else None)
    rows = [(row.step, row.by_name()) for row in metrics if row.split == split]
    if not rows:
        return None
    names = ("AP50", "AP", "AP75")
    series = [Series(name, _points((step, values.get(name)) for step, values in rows)) for name in names]
    mark = None if best_step is None else Mark(float(best_step), "best")
    title = f"AP on {split} images"
    high = max((y for one in series for _, y in one.points if y <= 1), default=1.0)
    axes = (Axis("step"), Axis("", low=0, high=1.0 if high > 0.5 else None))
    return Chart(title, line_chart(title, series, axes, mark), names)


def learning_chart(curve: LearningCurve) -> Chart:
    """Draw AP50 and AP over the number of training images."""
    series = [
        Series("AP50", [(float(point.images), point.ap50) for point in curve.points]),
        Series("AP", [(float(point.images), point.ap) for point in curve.points]),
    ]
    title = f"AP on {curve.split} images"
    axes = (Axis("training images", low=0), Axis("", low=0, high=1))
    return Chart(title, line_chart(title, series, axes), ("AP50", "AP"))


def curve_charts(curves: Mapping[str, Curve], order: Sequence[str]) -> list[Chart]:
    """Draw precision over recall: up to six classes in one chart, more as small multiples, in `order`."""
    points = {label: _curve(curves[label]) for label in order if label in curves}
    points |= {label: _curve(curve) for label, curve in curves.items() if label not in points}
    points = {label: curve for label, curve in points.items() if curve}
    axes = (Axis("recall", 0, 1), Axis("precision", 0, 1))
    if not points:
        return []
    if len(points) <= MOST_COLOURS:
        series = [Series(label, curve) for label, curve in points.items()]
        title = "Precision over recall at IoU 0.5"
        return [Chart(title, line_chart(title, series, axes), list(points))]
    shown = list(points.items())[:MOST_CURVES]
    return [Chart(label, small_line(label, curve, axes)) for label, curve in shown]


def class_scores(per_class: Iterable[ClassScore]) -> list[ScoreRow]:
    """Order classes by AP, best first; those without boxes come last."""
    rows = [
        ScoreRow(row.label, measured(row.ap), measured(row.ap50), row.images, row.boxes, row.intervals)
        for row in per_class
    ]
    return sorted(rows, key=lambda row: -1.0 if row.ap is None else row.ap, reverse=True)


def histogram(title: str, counts: Mapping[str, int], axes: tuple[str, str]) -> Chart:
    """Draw counts per named bin, in the given order."""
    bars = [Bar(name, float(count), f"{name}: {count:,}") for name, count in counts.items()]
    return Chart(title, bar_chart(title, bars, axes))


def size_charts(report: DataReport) -> list[Chart]:
    """Draw the number of boxes and of images of each size."""
    image_sizes = {f"{size.width} x {size.height}": size.count for size in report.image_sizes}
    charts = []
    if report.box_sizes:
        charts.append(histogram("Box sizes", report.box_sizes, ("pixels", "boxes")))
    if image_sizes:
        charts.append(histogram("Image sizes", image_sizes, ("pixels", "images")))
    return charts


def _noisy_chart(title: str, unit: str, points: Sequence[Point]) -> Chart:
    """Draw every report faintly and their moving mean over it; few reports are drawn as they are."""
    values = sorted(y for _, y in points if y > 0) or [1.0]
    # On a linear axis, a diverging start would flatten the rest of the curve.
    is_log = values[-1] > 50 * values[len(values) // 2]
    axes = (Axis("step"), Axis(f"{unit}, logarithmic" if is_log else unit, is_log=is_log))
    nan_count = sum(math.isnan(y) for _, y in points)
    note = f"{nan_count:,} of {len(points):,} reports were not a number." if nan_count else ""
    if len(points) < 60:
        return Chart(title, line_chart(title, [Series(unit, points)], axes), note=note)
    window = max(2, len(points) // 40)
    series = [Series(unit, points, is_faint=True), Series(f"mean {unit}", smooth(points, window))]
    explanation = f"Bold: mean of {window:,} reports. Faint: every report. {note}"
    return Chart(title, line_chart(title, series, axes), note=explanation.strip())


def _points(pairs: Iterable[tuple[int, float | None]]) -> list[Point]:
    """Return (step, value) of the reported values; NaN and COCO's -1 become a gap."""
    points = ((step, measured(value)) for step, value in pairs if value is not None)
    return sorted((float(step), math.nan if value is None else value) for step, value in points)


def _curve(curve: Curve) -> list[Point]:
    """Pair the lists up to the highest recall that was reached; COCO writes a precision of 0 beyond it."""
    pairs = zip(curve.recall, curve.precision, strict=False)
    points = [(x, y) for x, y in pairs if measured(x) is not None and measured(y) is not None]
    last_index = max((index for index, (_, y) in enumerate(points) if y > 0), default=-2)
    return points[: last_index + 2]
