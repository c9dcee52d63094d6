"""Tables and lines for a terminal; names from a dataset's files are shown literally, never as markup."""

from typing import TYPE_CHECKING

from slipway.report.sections import measured

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

MOST_ROWS = 50  # of classes or findings; the report has all of them


def new_table(*columns: str, title: str | None = None, has_numbers: bool = True) -> "Table":
    """Return an empty table; every column but the first is aligned to the right when they hold numbers."""
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for position, column in enumerate(columns):
        table.add_column(column, justify="right" if position and has_numbers else "left", overflow="fold")
    return table


def plain_text(text: str) -> "Text":
    """Wrap a text so that its brackets are not markup."""
    from rich.text import Text

    return Text(text)


def print_line(console: "Console", line: str) -> None:
    """Print one line, unless it is empty."""
    if line:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def score_text(value: float) -> str:
    score = measured(value)
    return "–" if score is None else f"{score:.3f}"
