"""A dataset's report as tables: its splits, its classes, and its findings."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from slipway.artifacts.dataset import DataReport

from services.cli.screen.event_lines import finding_line
from services.cli.screen.tables import MOST_ROWS, new_table, plain_text, print_line

if TYPE_CHECKING:
    from rich.console import Console

_SEVERITIES = ("error", "warning", "info")


def print_data_report(report: DataReport) -> None:
    """Print the report: boxes by class and split, notes, and every finding with its file."""
    from rich.console import Console

    console, splits = Console(), report.splits
    table = new_table("class", *(f"{name} boxes" for name in splits), title=f"dataset {report.name}")
    for label in report.labels[:MOST_ROWS]:
        table.add_row(plain_text(label), *(str(split.per_class.get(label, 0)) for split in splits.values()))
    table.add_section()
    table.add_row("all boxes", *(str(split.boxes) for split in splits.values()))
    table.add_row("images", *(str(split.images) for split in splits.values()))
    console.print(table)
    for note in report.notes:
        print_line(console, note)
    _print_findings(console, report)


def _print_findings(console: "Console", report: DataReport) -> None:
    counts = {code: count for code, count in report.counts.items() if count}
    if not counts:
        print_line(console, "findings: none")
        return
    findings = sorted(report.findings, key=lambda finding: _SEVERITIES.index(finding.severity))
    title = f"{sum(counts.values())} findings"
    table = new_table("severity", "code", "finding", title=title, has_numbers=False)
    for finding in findings[:MOST_ROWS]:
        table.add_row(finding.severity, finding.code, plain_text(finding_line(asdict(finding))))
    console.print(table)
    if sum(counts.values()) > MOST_ROWS:
        print_line(console, "more: " + ", ".join(f"{count} {code}" for code, count in counts.items()))
