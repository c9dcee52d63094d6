"""The dashboards' panels and queries, and Prometheus' answers to them."""

import json
import math
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "charts/slipway/dashboards").glob("*.json"))
FILLED: Mapping[str, str] = {"namespace": ".*", "__rate_interval": "1m"}


@dataclass(frozen=True)
class Query:
    """One query of a panel.

    Attributes:
      may_be_empty: The panel's reason why it may have nothing to show; "" if it always has something.
    """

    panel: str
    expr: str
    may_be_empty: str

    def filled(self, run: str) -> str:
        """Return the query with the dashboard's variables filled in."""
        text = self.expr
        for name, value in (FILLED | {"run": run}).items():
            text = text.replace(f"${name}", value)
        return text


def panels(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the panels of a dashboard that show something."""
    for panel in json.loads(path.read_text())["panels"]:
        if panel["type"] != "row":
            yield panel


def queries() -> Iterator[Query]:
    """Yield every query of every dashboard."""
    for path in FILES:
        for panel in panels(path):
            for target in panel["targets"]:
                name = f"{path.stem}: {panel['title']}: {target['legendFormat']}"
                yield Query(name, target["expr"], panel["fieldConfig"]["defaults"].get("noValue", ""))


def ask(prometheus: str, path: str, **parameters: str | float) -> Any:
    """Return Prometheus' answer; an invalid query is an error."""
    with urllib.request.urlopen(f"{prometheus}{path}?{urlencode(parameters)}", timeout=30) as answer:
        return json.load(answer)["data"]


def has_shown(prometheus: str, expr: str, now: float, seconds: float = 3600, step: float = 15) -> bool:
    """Check whether the query had a value within the last hour."""
    found = ask(prometheus, "/api/v1/query_range", query=expr, start=now - seconds, end=now, step=step)["result"]
    return any(not math.isnan(float(value)) for series in found for _, value in series["values"])
