"""A dataset's report as tables: its splits, its classes, and its findings."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from slipway.artifacts.dataset import DataReport, Finding
from slipway.text import format_count

from services.cli.screen.event_lines import finding_line
from services.cli.screen.tables import MOST_ROWS, new_table, plain_text, print_line

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
    print_findings(report.findings, report.counts)


def print_findings(findings: Sequence[Finding], counts: Mapping[str, int]) -> None:
    """Print the findings, the most severe first, and the number of each code if there are more than the screen shows.

    Args:
      counts: Of all findings, by code; `findings` may be the first thousand.
    """
    from rich.console import Console

    console, total = Console(), sum(counts.values())
    if not total:
        print_line(console, "findings: none")
        return
    findings = sorted(findings, key=lambda finding: _SEVERITIES.index(finding.severity))
    title = format_count(total, "finding")
    table = new_table("severity", "code", "finding", title=title, has_numbers=False)
    for finding in findings[:MOST_ROWS]:
        table.add_row(finding.severity, finding.code, plain_text(finding_line(asdict(finding))))
    console.print(table)
    if total > MOST_ROWS:
        print_line(console, "more: " + ", ".join(f"{count} {code}" for code, count in counts.items() if count))
