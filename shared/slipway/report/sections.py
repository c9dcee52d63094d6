"""What the parts of a report show: plain values out of plain values, before any HTML."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from slipway.report.axes import Axis, Point, smooth
from slipway.report.charts import MOST_COLOURS, Bar, Mark, Series, bar_chart, line_chart, small_line

Findings = Sequence[Mapping[str, Any]]

# A page with every finding of a broken dataset would not open; the counts are always complete.
MOST_FINDINGS = 200
# Eight in a row make twelve rows; beyond that nobody compares curves by eye.
MOST_CURVES = 96
STATISTICS = {"min", "max", "mean", "median", "p5", "p50", "p95"}
SEVERITIES = ("error", "warning", "info")
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
class FindingGroup:
    """Findings of one code.

    Attributes:
      count: All there were; `shown` is what the page has room for.
      action: What was done about each of them; empty when it differs, then each row says its own.
    """

    code: str
    severity: str
    count: int
    action: str
    has_objects: bool
    shown: Findings


def measured(value: object) -> float | None:
    """Return a metric, or None for what COCO writes as -1 (no boxes), NaN and absent ones."""
    if isinstance(value, int | float) and math.isfinite(value) and value >= 0:
        return float(value)
    return None


def class_table(splits: Mapping[str, Mapping[str, Any]], labels: Sequence[str]) -> list[dict[str, Any]]:
    """Count boxes per class: the most frequent first, each split's share of the longest bar in percent."""
    counts = {name: split.get("per_class") or {} for name, split in splits.items()}
    names = dict.fromkeys([*labels, *(label for per_class in counts.values() for label in per_class)])
    rows = [{"label": n, "boxes": [int(c.get(n, 0)) for c in counts.values()]} for n in names]
    longest = max((sum(row["boxes"]) for row in rows), default=0) or 1
    for row in rows:
        row["total"] = sum(row["boxes"])
        row["shares"] = [100 * boxes / longest for boxes in row["boxes"]]
    return sorted(rows, key=lambda row: -row["total"])


def finding_groups(findings: Iterable[Mapping[str, Any]], counts: Mapping[str, int]) -> list[FindingGroup]:
    """Group findings by code, gravest first; small groups are shown whole, large ones share what is left."""
    by_code: dict[str, list[Mapping[str, Any]]] = {code: [] for code, count in counts.items() if count}
    for finding in findings:
        by_code.setdefault(str(finding.get("code", "other")), []).append(finding)
    room, waiting, shown = MOST_FINDINGS, len(by_code), {}
    for code in sorted(by_code, key=lambda code: len(by_code[code])):
        shown[code] = by_code[code][: room // waiting]
        room, waiting = room - len(shown[code]), waiting - 1
    groups = [_group(code, all_of, shown[code], counts.get(code, 0)) for code, all_of in by_code.items()]
    return sorted(groups, key=lambda group: (_rank(group.severity), -group.count))


def training_charts(progress: Sequence[Mapping[str, Any]]) -> list[Chart]:
    """Draw loss, learning rate and speed over the global step; those never reported are left out."""
    loss, rate, speed = (_points(progress, key) for key in ("loss", "learning_rate", "images_per_sec"))
    charts = []
    if loss:
        charts.append(_noisy_chart("Training loss", "loss", loss))
    if rate:
        svg = line_chart("Learning rate", [Series("learning rate", rate)], (Axis("step"), Axis("")))
        charts.append(Chart("Learning rate", svg))
    if speed:
        charts.append(_noisy_chart("Speed", "images per second", speed))
    return charts


def ap_chart(metrics: Sequence[Mapping[str, Any]], best: Mapping[str, Any]) -> Chart | None:
    """Draw AP50, AP and AP75 of every measured checkpoint of the split the best was chosen on."""
    split = best.get("chosen_on") or best.get("split") or (metrics[-1].get("split") if metrics else None)
    rows = [row for row in metrics if row.get("split", split) == split]
    if not rows:
        return None
    names = ("AP50", "AP", "AP75")
    series = [Series(name, _points(rows, name)) for name in names]
    mark = Mark(float(best["step"]), "best") if "step" in best else None
    title = f"AP on {split} images" if split else "AP"
    high = max((y for one in series for _, y in one.points if y <= 1), default=1.0)
    axes = (Axis("step"), Axis("", low=0, high=1.0 if high > 0.5 else None))
    return Chart(title, line_chart(title, series, axes, mark), names)


def curve_charts(curves: Mapping[str, Mapping[str, Sequence[float]]], order: Sequence[str]) -> list[Chart]:
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


def class_scores(per_class: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Order classes by AP, best first; those without boxes come last, with None for their metrics."""
    rows = [{**row, "AP": measured(row.get("AP")), "AP50": measured(row.get("AP50"))} for row in per_class]
    return sorted(rows, key=lambda row: -1.0 if row["AP"] is None else row["AP"], reverse=True)


def histogram(title: str, counts: Mapping[str, int], axes: tuple[str, str]) -> Chart:
    """Draw counts per named bin, in the order given."""
    bars = [Bar(str(name), float(count), f"{name}: {count:,}") for name, count in counts.items()]
    return Chart(title, bar_chart(title, bars, axes))


def size_charts(report: Mapping[str, Any]) -> list[Chart]:
    """Draw the counts of `box_sizes` and `image_sizes`, nested or not; statistics that are no counts are left out."""
    wanted = {"box_sizes": ("Box sizes", "boxes"), "image_sizes": ("Image sizes", "images")}
    charts = []
    for key, (title, unit) in wanted.items():
        value = report.get(key) or {}
        for name, bins in {"": value, **(value if isinstance(value, Mapping) else {})}.items():
            counts = _bins(bins)
            if counts:
                full = f"{title}, {name.replace('_', ' ')}" if name else title
                charts.append(histogram(full, counts, ("pixels", unit)))
    return charts


def _bins(value: Any) -> dict[str, int]:
    """Read {name: count}, {edges, counts} or [{width, height, count}]; empty for anything else."""
    if isinstance(value, Mapping) and "edges" in value and "counts" in value:
        pairs = zip(value["edges"], value["edges"][1:], strict=False)
        return {f"{low:g}-{high:g}": n for (low, high), n in zip(pairs, value["counts"], strict=False)}
    if isinstance(value, Mapping) and not STATISTICS & set(value):
        return dict(value) if all(isinstance(n, int) for n in value.values()) else {}
    if isinstance(value, list) and all(isinstance(row, Mapping) and "width" in row for row in value):
        return {f"{row['width']} x {row['height']}": int(row.get("count", 1)) for row in value[:12]}
    return {}


def _noisy_chart(title: str, unit: str, points: Sequence[Point]) -> Chart:
    """Draw every report faintly and their moving mean over it; few reports are drawn as they are."""
    values = sorted(y for _, y in points if y > 0) or [1.0]
    # A diverging start would press the rest of the curve flat onto the axis.
    is_log = values[-1] > 50 * values[len(values) // 2]
    axes = (Axis("step"), Axis(f"{unit}, logarithmic" if is_log else unit, is_log=is_log))
    lost = sum(math.isnan(y) for _, y in points)
    note = f"{lost:,} of {len(points):,} reports were not a number." if lost else ""
    if len(points) < 60:
        return Chart(title, line_chart(title, [Series(unit, points)], axes), note=note)
    window = max(2, len(points) // 40)
    series = [Series(unit, points, is_faint=True), Series(f"mean {unit}", smooth(points, window))]
    words = f"Bold: mean of {window:,} reports. Faint: every report. {note}"
    return Chart(title, line_chart(title, series, axes), note=words.strip())


def _points(rows: Sequence[Mapping[str, Any]], key: str) -> list[Point]:
    """Pick (step, value) of the rows that have the key; NaN and COCO's -1 become a gap."""
    points = ((row.get("step"), measured(row[key])) for row in rows if row.get(key) is not None)
    return sorted((float(x), math.nan if y is None else y) for x, y in points if isinstance(x, int | float))


def _curve(curve: Mapping[str, Sequence[float]]) -> list[Point]:
    """Pair the lists up to the highest recall reached; COCO writes a precision of 0 beyond it."""
    pairs = zip(curve.get("recall", ()), curve.get("precision", ()), strict=False)
    points = [(float(x), float(y)) for x, y in pairs if measured(x) is not None and measured(y) is not None]
    reached = max((index for index, (_, y) in enumerate(points) if y > 0), default=-2)
    return points[: reached + 2]


def _group(code: str, found: Findings, shown: Findings, count: int) -> FindingGroup:
    severity = min((str(f.get("severity", "info")) for f in found), key=_rank, default="info")
    actions = {str(f.get("action") or "") for f in found}
    has_objects = any(f.get("object") is not None for f in shown)
    action = actions.pop() if len(actions) == 1 else ""
    return FindingGroup(code, severity, max(count, len(found)), action, has_objects, shown)


def _rank(severity: str) -> int:
    return SEVERITIES.index(severity) if severity in SEVERITIES else len(SEVERITIES)
