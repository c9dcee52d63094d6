"""A dataset's report as tables: its splits, its classes, and its findings."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from slipway.artifacts.dataset import DataReport, Finding
from slipway.report.finding_section import FindingGroup, finding_groups
from slipway.text import format_count

from services.cli.screen.event_lines import finding_line
from services.cli.screen.tables import MOST_ROWS, new_table, plain_text, print_line


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
    """Print the kinds of findings with their counts, and then the findings, the most severe first.

    Args:
      counts: Of all findings, by code; `findings` may be the first thousand.
    """
    from rich.console import Console

    console, total = Console(), sum(counts.values())
    if not total:
        print_line(console, "findings: none")
        return
    groups = finding_groups(findings, counts, MOST_ROWS)
    _print_kinds(groups, format_count(total, "finding"))
    table = new_table("severity", "code", "finding", has_numbers=False)
    for finding in (finding for group in groups for finding in group.shown):
        table.add_row(finding.severity, finding.code, plain_text(finding_line(asdict(finding))))
    console.print(table)
    row_count = sum(len(group.shown) for group in groups)
    if total > row_count:
        print_line(console, f"{row_count} of {format_count(total, 'finding')} are shown, some of each code")


def _print_kinds(groups: Sequence[FindingGroup], title: str) -> None:
    """Print one row for each code: its number, its consequence, and an example."""
    from rich.console import Console

    table = new_table("severity", "code", "count", "what follows, and an example", title=title, has_numbers=False)
    for group in groups:
        example = finding_line(asdict(group.shown[0])) if group.shown else ""
        text = "\n".join(filter(None, (group.effect, example and f"e.g. {example}")))
        table.add_row(group.severity, group.code, str(group.count), plain_text(text))
    Console().print(table)
