"""The pages a person reads: one of a dataset, one of a run; self-contained, and nothing is fetched.

Names of files and classes come from strangers: every template escapes, and the page's own
Content-Security-Policy forbids scripts and network besides.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from slipway.report import sections
from slipway.report.sections import Chart, measured
from slipway.text import format_duration

if TYPE_CHECKING:
    from jinja2 import Environment


@dataclass(frozen=True)
class RunReport:
    """All that the page of one run shows; anything unknown may stay empty.

    Attributes:
      name: The run's.
      data: The dataset's report.json, as `data_report` takes it.
      resolved: {field, value, reason}: what was done, and why that.
      progress: {step, loss, learning_rate, images_per_sec} per report of the trainer, any number.
      metrics: {step, split, AP, AP50, AP75, APs, APm, APl, ARmax1, ARmax10, ARmax100} per measured checkpoint.
      best: {step, split, metrics, chosen_on, note}: `split` is the one `metrics` was measured on.
        An optional `images` is their number; without it `data` is asked.
      last: {step, split, metrics} of the last checkpoint.
      per_class: {label, AP, AP50, images, boxes}; AP of -1 or NaN where the class has no boxes.
      curves: Per label {recall, precision}, equally long lists at IoU 0.5.
      samples: {filename, truth, detections, caption}; truth and detections are JPEG bytes.
      lineage: Names to digests, versions, seeds.
      durations: Seconds per stage, in the order they ran.
      usage: Shell commands that use the export.
      caveats: Sentences that a reader of the figures has to know; shown beside them.
    """

    name: str
    data: Mapping[str, Any] = field(default_factory=dict)
    resolved: Sequence[Mapping[str, Any]] = ()
    progress: Sequence[Mapping[str, Any]] = ()
    metrics: Sequence[Mapping[str, Any]] = ()
    best: Mapping[str, Any] = field(default_factory=dict)
    last: Mapping[str, Any] = field(default_factory=dict)
    per_class: Sequence[Mapping[str, Any]] = ()
    curves: Mapping[str, Mapping[str, Sequence[float]]] = field(default_factory=dict)
    samples: Sequence[Mapping[str, Any]] = ()
    lineage: Mapping[str, str] = field(default_factory=dict)
    durations: Mapping[str, float] = field(default_factory=dict)
    usage: Sequence[str] = ()
    caveats: Sequence[str] = ()


def data_report(report: Mapping[str, Any]) -> str:
    """Write the page of a dataset.

    Args:
      report: report.json of ingest; every key is optional, unknown keys are ignored.
    """
    data = _data(report)
    return _render("data_report.html", name=report.get("name", "dataset"), sentence=_data_sentence(data), data=data)


def run_report(report: RunReport) -> str:
    """Write the page of a run, from what was put in to how to use what came out."""
    scores = sections.class_scores(report.per_class)
    return _render(
        "report.html",
        run=report,
        name=report.name,
        sentence=_result_sentence(report),
        figures=_figures(report),
        caveats=list(dict.fromkeys([*report.caveats, *filter(None, [report.best.get("note")])])),
        data=_data(report.data) if report.data else None,
        charts=_training_charts(report),
        scores=scores,
        curves=sections.curve_charts(report.curves, [str(row["label"]) for row in scores]),
        metric_rows=_metric_rows(report),
        longest=max(report.durations.values(), default=0) or 1,
    )


def _result_sentence(report: RunReport) -> str:
    metrics, best = report.best.get("metrics") or {}, report.best
    if measured(metrics.get("AP50")) is None:
        return "No checkpoint was measured." if not metrics else "The measured images hold no boxes, so there is no AP."
    split = best.get("split", "test")
    images = best.get("images") or (report.data.get("splits") or {}).get(split, {}).get("images")
    where = f" on {images:,} {split} images" if images else f" on {split} images"
    step = f"best checkpoint, step {int(best['step']):,}" if "step" in best else "best checkpoint"
    return f"AP50 {score(metrics['AP50'])}, AP {score(metrics.get('AP'))}{where} ({step})"


def _data_sentence(data: Mapping[str, Any]) -> str:
    images, boxes = (sum(split.get(key, 0) for split in data["splits"].values()) for key in ("images", "boxes"))
    findings = sum(group.count for group in data["groups"])
    counts = {"image/s": images, "box/es": boxes, "class/es": len(data["classes"]), "finding/s": findings}
    return ", ".join(
        f"{n:,} {words.replace('/', '') if n != 1 else words.split('/')[0]}" for words, n in counts.items()
    )


def _figures(report: RunReport) -> list[tuple[str, str, str]]:
    """List (name, number, explanation) of the big numbers on top."""
    metrics = {name: value for name, value in (report.best.get("metrics") or {}).items() if measured(value) is not None}
    wanted = {"AP50": "IoU at least 0.5", "AP": "IoU 0.50 to 0.95", "ARmax100": "recall, 100 detections"}
    shown = [(name, score(metrics[name]), why) for name, why in wanted.items() if name in metrics]
    splits = report.data.get("splits") or {}
    if splits:
        by_split = " + ".join(f"{split.get('images', 0):,} {name}" for name, split in splits.items())
        shown.append(("images", f"{sum(split.get('images', 0) for split in splits.values()):,}", by_split))
    if report.durations:
        longest = max(report.durations, key=lambda stage: report.durations[stage])
        total = sum(report.durations.values())
        shown.append(
            ("total time", format_duration(total), f"{longest} took {format_duration(report.durations[longest])}")
        )
    return shown


def _metric_rows(report: RunReport) -> list[tuple[str, str, Any, Any]]:
    """List (name, meaning, of the best, of the last checkpoint) of what was measured of either."""
    best, last = report.best.get("metrics") or {}, report.last.get("metrics") or {}
    names = [name for name in sections.METRICS if name in best or name in last]
    return [(name, sections.METRICS[name], best.get(name), last.get(name)) for name in names]


def _training_charts(report: RunReport) -> list[Chart]:
    charts = [sections.ap_chart(report.metrics, report.best), *sections.training_charts(report.progress)]
    return [chart for chart in charts if chart]


def _data(report: Mapping[str, Any]) -> dict[str, Any]:
    """Prepare the data section, which both pages have."""
    splits = report.get("splits") or {}
    findings, counts = report.get("findings") or [], report.get("counts") or {}
    return {
        "splits": splits,
        "sha256": report.get("sha256", ""),
        "classes": sections.class_table(splits, report.get("labels") or []),
        "sizes": sections.size_charts(report),
        "groups": sections.finding_groups(findings, counts),
        "notes": report.get("notes") or [],
    }


@cache
def _environment() -> "Environment":
    # Lazily: the command line and the stages that write no page do not have jinja2.
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("slipway.report")
    pages = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    pages.filters |= {"score": score, "duration": format_duration, "jpeg": _jpeg, "count": lambda n: f"{n:,}"}
    return pages


def _render(template: str, **values: Any) -> str:
    page = _environment().get_template(template).render(**values)
    # A file name that is no UTF-8 arrives with lone surrogates, which no file can be written with.
    return page.encode(errors="replace").decode()


def _jpeg(content: bytes) -> str:
    return f"data:image/jpeg;base64,{b64encode(content).decode()}"


def score(value: object) -> str:
    """Write a metric with two decimals; one that does not exist for lack of boxes says so."""
    number = measured(value)
    return "no boxes" if number is None else f"{number:.2f}"
