"""The table of docs/findings.md, written from the kinds of findings by `make findings`."""

import sys
from pathlib import Path

from slipway.dataset.finding_kinds import findings_table

_HEADING = "\n## Codes\n\n"


def with_table(page: str) -> str:
    """Return the page with the table of today's codes below its heading "Codes", up to the next heading."""
    before, after = page.split(_HEADING)
    _, mark, rest = after.partition("\n## ")
    return f"{before}{_HEADING}{findings_table()}{mark}{rest}"


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(with_table(page.read_text()))
