"""The HTML reports of a dataset and of a run; self-contained, so that a browser fetches nothing.

Names of files and classes are not trusted: every template escapes them, and the page's own
Content-Security-Policy forbids scripts and network access.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from slipway.artifacts.dataset import ComparedConfig, DataReport, SplitCounts
from slipway.artifacts.error_analysis import ErrorAnalysis, kind_name
from slipway.artifacts.evaluation import BestCheckpoint, Curve, Interval, MeasuredRow
from slipway.artifacts.learning_curve import LearningCurve
from slipway.artifacts.operating_point import MIN_BOXES
from slipway.artifacts.training import ProgressLine
from slipway.report import sections
from slipway.report.error_section import FailurePicture, error_section
from slipway.report.finding_section import FindingGroup, FindingPicture, data_url, finding_groups
from slipway.report.sections import Chart, ClassRow, measured
from slipway.run.plan import Plan
from slipway.text import format_duration, format_value

if TYPE_CHECKING:
    from jinja2 import Environment


@dataclass(frozen=True)
class SamplePictures:
    """One test image as two pictures.

    Attributes:
      truth: JPEG with the annotated boxes.
      detections: JPEG with the detections.
      caption: A sentence on the detected and the missed boxes.
    """

    filename: str
    truth: bytes
    detections: bytes
    caption: str = ""


@dataclass(frozen=True)
class RunReport:
    """The content of one run's page; anything unknown may stay empty.

    Attributes:
      name: Name of the run.
      config: The pipeline config of the source, compared with the run; None if there is none.
      progress: Any number of lines.
      metrics: A row for each measured checkpoint and split.
      curves: Label to precision-recall curve.
      requested_threshold: Score threshold of the run file, which replaces the measured ones; None where they were used.
      errors: None for a run that an older version evaluated.
      failures: Pictures of the failures that the page shows.
      lineage: Names to digests, versions, seeds.
      durations: Seconds per stage, in the order they ran.
      usage: Shell commands that use the export.
      caveats: Sentences that a reader of the figures should know; shown beside them.
      learning_curve: Trainings on shares of the images and on all of them; None if there were none on shares.
    """

    name: str
    data: DataReport | None = None
    plan: Plan | None = None
    config: ComparedConfig | None = None
    progress: Sequence[ProgressLine] = ()
    metrics: Sequence[MeasuredRow] = ()
    best: BestCheckpoint | None = None
    curves: Mapping[str, Curve] = field(default_factory=dict)
    requested_threshold: float | None = None
    samples: Sequence[SamplePictures] = ()
    errors: ErrorAnalysis | None = None
    failures: Sequence[FailurePicture] = ()
    lineage: Mapping[str, str] = field(default_factory=dict)
    durations: Mapping[str, float] = field(default_factory=dict)
    usage: Sequence[str] = ()
    caveats: Sequence[str] = ()
    learning_curve: LearningCurve | None = None

    @property
    def splits(self) -> Mapping[str, SplitCounts]:
        return self.data.splits if self.data else {}


@dataclass(frozen=True)
class DataSection:
    """The section that both pages have: the content of a dataset, and its findings."""

    splits: Mapping[str, SplitCounts]
    sha256: str
    classes: Sequence[ClassRow]
    sizes: Sequence[Chart]
    groups: Sequence[FindingGroup]
    pictures: Sequence[FindingPicture]
    notes: Sequence[str]


def data_report(report: DataReport, pictures: Sequence[FindingPicture] = ()) -> str:
    """Write the page of a dataset, with pictures of its gravest findings."""
    data = _data(report, pictures)
    return _render("data_report.html", name=report.name, sentence=_data_sentence(data), data=data)


def run_report(report: RunReport) -> str:
    """Write the page of a run, from its dataset to the use of its export."""
    best = report.best
    scores = sections.class_scores(best.per_class if best else ())
    warnings, notes = ([best.warning], [best.note]) if best else ([], [])
    return _render(
        "report.html",
        run=report,
        name=report.name,
        sentence=_result_sentence(report),
        figures=_figures(report),
        caveats=list(dict.fromkeys(filter(None, [*warnings, *report.caveats, *notes]))),
        min_boxes=MIN_BOXES,
        data=_data(report.data) if report.data else None,
        charts=_training_charts(report),
        scores=scores,
        errors=error_section(report.errors, best, report.failures) if report.errors and best else None,
        learning_chart=sections.learning_chart(report.learning_curve) if report.learning_curve else None,
        curves=sections.curve_charts(report.curves, [row.label for row in scores]),
        metric_rows=_metric_rows(best) if best else [],
        intervals=_intervals(best) if best else {},
        choices=report.plan.choices if report.plan else {},
        longest=max(report.durations.values(), default=0) or 1,
    )


def _result_sentence(report: RunReport) -> str:
    best = report.best
    if best is None:
        return "No checkpoint was measured."
    if measured(best.metrics.ap50) is None:
        return "The measured images hold no boxes, so there is no AP."
    split = report.splits.get(best.split)
    images = best.images or (split.images if split else 0)
    scope = f" on {images:,} {best.split} images" if images else f" on {best.split} images"
    ranges = {name: f" ({interval})" for name, interval in _intervals(best).items()}
    ap50, ap = f"AP50 {score(best.metrics.ap50)}{ranges.get('AP50', '')}", score(best.metrics.ap) + ranges.get("AP", "")
    return f"{ap50}, AP {ap}{scope} (best checkpoint, step {best.step:,})"


def _data_sentence(data: DataSection) -> str:
    counts = {
        "image/s": sum(split.images for split in data.splits.values()),
        "box/es": sum(split.boxes for split in data.splits.values()),
        "class/es": len(data.classes),
        "finding/s": sum(group.count for group in data.groups),
    }
    return ", ".join(
        f"{n:,} {words.replace('/', '') if n != 1 else words.split('/')[0]}" for words, n in counts.items()
    )


def _figures(report: RunReport) -> list[tuple[str, str, str]]:
    """List (name, number, explanation) of the big numbers on top."""
    metrics, intervals = (report.best.metrics.by_name(), _intervals(report.best)) if report.best else ({}, {})
    meanings = {"AP50": "IoU at least 0.5", "AP": "IoU 0.50 to 0.95", "ARmax100": "recall, 100 detections"}
    figures = [
        (name, score(metrics[name]), f"{intervals[name]} · {meaning}" if name in intervals else meaning)
        for name, meaning in meanings.items()
        if measured(metrics.get(name)) is not None
    ]
    if report.splits:
        by_split = " + ".join(f"{split.images:,} {name}" for name, split in report.splits.items())
        figures.append(("images", f"{sum(split.images for split in report.splits.values()):,}", by_split))
    if report.durations:
        longest = max(report.durations, key=lambda stage: report.durations[stage])
        total = sum(report.durations.values())
        longest_text = f"{longest} took {format_duration(report.durations[longest])}"
        figures.append(("total time", format_duration(total), longest_text))
    return figures


def _intervals(best: BestCheckpoint) -> dict[str, Interval]:
    """Return the intervals by the names of their metrics; none for a checkpoint that an older version measured."""
    return {"AP50": best.intervals.ap50, "AP": best.intervals.ap} if best.intervals else {}


def _metric_rows(best: BestCheckpoint) -> list[tuple[str, str, float | None, float | None]]:
    """List (name, meaning, value of the best, value of the last checkpoint) of the metrics that either has."""
    of_best, of_last = best.metrics.by_name(), best.last.metrics.by_name() if best.last else {}
    names = [name for name in sections.METRICS if name in of_best or name in of_last]
    return [(name, sections.METRICS[name], of_best.get(name), of_last.get(name)) for name in names]


def _training_charts(report: RunReport) -> list[Chart]:
    best = report.best
    ap = sections.ap_chart(report.metrics, best.step, best.chosen_on) if best else sections.ap_chart(report.metrics)
    return [chart for chart in (ap, *sections.training_charts(report.progress)) if chart]


def _data(report: DataReport, pictures: Sequence[FindingPicture] = ()) -> DataSection:
    return DataSection(
        splits=report.splits,
        sha256=report.sha256,
        classes=sections.class_table(report.splits, report.labels),
        sizes=sections.size_charts(report),
        groups=finding_groups(report.findings, report.counts),
        pictures=pictures,
        notes=report.notes,
    )


@cache
def _environment() -> "Environment":
    # Lazy, since the command line and the stages that write no page do not have jinja2.
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("slipway.report")
    pages = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    pages.filters |= {"score": score, "duration": format_duration, "value": format_value}
    pages.filters |= {"jpeg": data_url, "count": lambda n: f"{n:,}", "kind_name": kind_name}
    return pages


def _render(template: str, **values: Any) -> str:
    page = _environment().get_template(template).render(**values)
    # A file name that is not UTF-8 has lone surrogates here, which cannot be encoded.
    return page.encode(errors="replace").decode()


def score(value: object) -> str:
    """Return a metric with two decimals, or "no boxes" where it does not exist for lack of boxes."""
    number = measured(value)
    return "no boxes" if number is None else f"{number:.2f}"
