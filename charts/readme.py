"""Write the table of a chart's values into its README: every key, its default, and its description in values.yaml.

python charts/readme.py charts/slipway
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

_LINE = re.compile(r"(?P<indent> *)(?:# -- (?P<description>.*)|(?P<key>[\w.-]+):.*)")
_TABLE = re.compile(r"(?<=<!-- values -->\n).*(?=<!-- /values -->)", re.DOTALL)


def descriptions_by_key(text: str) -> dict[str, str]:
    """Return the description of each key, by its dotted name."""
    descriptions, description, parents = {}, "", []
    for match in filter(None, map(_LINE.fullmatch, text.splitlines())):
        depth = len(match["indent"]) // 2
        if match["description"]:
            description = match["description"]
            continue
        parents[depth:] = [match["key"]]
        if description:
            descriptions[".".join(parents)] = description
        description = ""
    return descriptions


def rows(values: Mapping[str, Any], descriptions: Mapping[str, str], prefix: str = "") -> Iterator[str]:
    """Yield a row for each key; a map with a description is one key.

    Raises:
      SystemExit: A key has no description.
    """
    for key, value in values.items():
        name = prefix + key
        if name in descriptions:
            yield f"| `{name}` | `{json.dumps(value)}` | {descriptions[name]} |"
        elif isinstance(value, dict) and value:
            yield from rows(value, descriptions, f"{name}.")
        else:
            raise SystemExit(f"values.yaml: {name} has no description; add `# --` and a sentence above it")


def readme(chart: Path) -> str:
    """Return the README with its table made from values.yaml."""
    text = (chart / "values.yaml").read_text()
    table = "\n".join(["| key | default | |", "|---|---|---|", *rows(yaml.safe_load(text), descriptions_by_key(text))])
    return _TABLE.sub(lambda _: table + "\n", (chart / "README.md").read_text())


if __name__ == "__main__":
    for folder in map(Path, sys.argv[1:]):
        (folder / "README.md").write_text(readme(folder))
