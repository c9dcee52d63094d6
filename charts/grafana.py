"""Writes Grafana's dashboards into a chart: from one short YAML file each, the JSON that Grafana imports.

python charts/grafana.py charts/dashboards charts/slipway/dashboards

A panel says what it is (`as`), how wide (of 24 columns), its unit as Grafana calls it, and its queries by their
legends. Panels flow from left to right. `empty` is why a panel may have nothing to show.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

Json = dict[str, Any]
COLUMNS = 24
HEIGHTS = {"stat": 4, "row": 1}
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_LEGEND = {"displayMode": "table", "placement": "bottom", "showLegend": True, "calcs": ["lastNotNull", "max"]}
_OPTIONS: Mapping[str, Json] = {
    "timeseries": {"legend": _LEGEND, "tooltip": {"mode": "multi", "sort": "desc"}},
    "stat": {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "value",
        "graphMode": "area",
        "textMode": "auto",
    },
    "bargauge": {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "orientation": "horizontal",
        "displayMode": "basic",
    },
    "table": {"showHeader": True, "cellHeight": "sm"},
}


def dashboard(said: Json, uid: str) -> Json:
    """Return a dashboard in Grafana's own words."""
    return {
        "uid": uid,
        "title": said["title"],
        "description": said["says"],
        "tags": ["slipway"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": said.get("from", "now-6h"), "to": "now"},
        "timezone": "browser",
        "links": [_links()],
        "templating": {"list": [_source(), *(_variable(name, query) for name, query in said["variables"].items())]},
        "annotations": {"list": []},
        "panels": list(_panels(said["rows"])),
    }


def _links() -> Json:
    return {
        "type": "dashboards",
        "title": "Slipway",
        "tags": ["slipway"],
        "asDropdown": False,
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
    }


def _source() -> Json:
    return {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "hide": 0}


def _variable(name: str, query: str) -> Json:
    """Return a choice among a label's values; of namespaces also all at once."""
    has_all = name == "namespace"
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": SOURCE,
        "definition": query,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": has_all,
        "includeAll": has_all,
        **({"allValue": ".*", "current": {"text": "All", "value": "$__all"}} if has_all else {}),
    }


def _panels(rows: Sequence[Json]) -> Iterator[Json]:
    """Yield rows and their panels, each where it stands on the page."""
    number, y = 0, 0
    for row in rows:
        number += 1
        yield {
            "id": number,
            "type": "row",
            "title": row["row"],
            "collapsed": False,
            "gridPos": _place(0, y, COLUMNS, 1),
            "panels": [],
        }
        x, y, height = 0, y + 1, 0
        for said in row["panels"]:
            if x + said["width"] > COLUMNS:
                x, y, height = 0, y + height, 0
            number += 1
            place = _place(x, y, said["width"], said.get("height", HEIGHTS.get(said["as"], 8)))
            yield _panel(said, number, place)
            x, height = x + said["width"], max(height, place["h"])
        y += height


def _place(x: int, y: int, width: int, height: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": width, "h": height}


def _panel(said: Json, number: int, place: Json) -> Json:
    """Return one panel."""
    return {
        "id": number,
        "type": said["as"],
        "title": said["title"],
        "description": said["says"],
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": _defaults(said), "overrides": said.get("overrides", [])},
        "options": _OPTIONS[said["as"]] | said.get("options", {}),
        "targets": [_target(said, *query) for query in zip("ABCDEFGH", said["queries"].items(), strict=False)],
        **({"transformations": _columns(said)} if said["as"] == "table" else {}),
    }


def _defaults(said: Json) -> Json:
    steps = [{"color": color, "value": value} for value, color in said.get("thresholds", {}).items()]
    drawn = {"fillOpacity": 10, "lineWidth": 1, "showPoints": "never", "stacking": {"mode": "none"}} | said.get(
        "drawn", {}
    )
    return {
        "unit": said["unit"],
        "color": {"mode": "thresholds" if steps and said["as"] != "timeseries" else "palette-classic"},
        "thresholds": {"mode": "absolute", "steps": [{"color": "green", "value": None}, *steps]},
        **({"custom": drawn} if said["as"] == "timeseries" else {}),
        **{key: said[key] for key in ("min", "max", "decimals", "mappings") if key in said},
        **({"noValue": said["empty"]} if "empty" in said else {}),
    }


def _target(said: Json, letter: str, query: tuple[str, str]) -> Json:
    """Return one query; a table has only what is now."""
    legend, expr = query
    form = {"format": "table", "instant": True} if said["as"] == "table" else {"format": "time_series", "range": True}
    return {"refId": letter, "datasource": SOURCE, "expr": " ".join(expr.split()), "legendFormat": legend, **form}


def _columns(said: Json) -> list[Json]:
    """Make one row of what the queries say of the same labels; a query's legend is its column."""
    names = {f"Value #{letter}": legend for letter, legend in zip("ABCDEFGH", said["queries"], strict=False)}
    hidden = {"Time": True} | dict.fromkeys([column for column, legend in names.items() if not legend], True)
    shown = {column: legend for column, legend in names.items() if legend}
    return [
        {"id": "merge", "options": {}},
        {"id": "organize", "options": {"excludeByName": hidden, "renameByName": shown}},
    ]


def written(source: Path) -> str:
    """Return the JSON of one dashboard's YAML file."""
    return json.dumps(dashboard(yaml.safe_load(source.read_text()), f"slipway-{source.stem}"), indent=2) + "\n"


if __name__ == "__main__":
    sources, target = map(Path, sys.argv[1:])
    for source in sorted(sources.glob("*.yaml")):
        (target / f"{source.stem}.json").write_text(written(source))
