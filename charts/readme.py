"""Writes the table of a chart's values into its README: every key, its default, and what values.yaml says of it.

python charts/readme.py charts/slipway
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

_LINE = re.compile(r"(?P<indent> *)(?:# -- (?P<said>.*)|(?P<key>[\w.-]+):.*)")
_TABLE = re.compile(r"(?<=<!-- values -->\n).*(?=<!-- /values -->)", re.DOTALL)


def described(text: str) -> dict[str, str]:
    """Return what is said of each key, by its dotted name."""
    found, said, parents = {}, "", []
    for match in filter(None, map(_LINE.fullmatch, text.splitlines())):
        depth = len(match["indent"]) // 2
        if match["said"]:
            said = match["said"]
            continue
        parents[depth:] = [match["key"]]
        if said:
            found[".".join(parents)] = said
        said = ""
    return found


def rows(values: Mapping[str, Any], said: Mapping[str, str], prefix: str = "") -> Iterator[str]:
    """Yield a row for each key; a map that is described as a whole is one key.

    Raises:
      SystemExit: Nothing is said of a key.
    """
    for key, value in values.items():
        name = prefix + key
        if name in said:
            yield f"| `{name}` | `{json.dumps(value)}` | {said[name]} |"
        elif isinstance(value, dict) and value:
            yield from rows(value, said, f"{name}.")
        else:
            raise SystemExit(f"values.yaml: {name} is not described; put `# --` and a sentence above it")


def readme(chart: Path) -> str:
    """Return the README with the table as it ought to be."""
    text = (chart / "values.yaml").read_text()
    table = "\n".join(["| key | default | |", "|---|---|---|", *rows(yaml.safe_load(text), described(text))])
    return _TABLE.sub(lambda _: table + "\n", (chart / "README.md").read_text())


if __name__ == "__main__":
    for folder in map(Path, sys.argv[1:]):
        (folder / "README.md").write_text(readme(folder))
