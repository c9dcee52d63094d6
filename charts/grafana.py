"""Write Grafana's dashboards into a chart: one JSON file from each short YAML file.

python charts/grafana.py charts/dashboards charts/slipway/dashboards

A panel has a `type` and a `unit` as Grafana names them, a `width` (of 24 columns), and its `queries` by their legends.
Panels flow from left to right. `empty` is the text of a panel without values: the reason why it has none.
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
DATA_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
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


def dashboard(source: Json, uid: str) -> Json:
    """Return a dashboard in Grafana's format."""
    return {
        "uid": uid,
        "title": source["title"],
        "description": source["description"],
        "tags": ["slipway"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": source.get("from", "now-6h"), "to": "now"},
        "timezone": "browser",
        "links": [_links()],
        "templating": {
            "list": [_data_source(), *(_variable(name, query) for name, query in source["variables"].items())]
        },
        "annotations": {"list": []},
        "panels": list(_panels(source["rows"])),
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


def _data_source() -> Json:
    return {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "hide": 0}


def _variable(name: str, query: str) -> Json:
    """Return a variable whose values are those of a label; several namespaces can be selected at once."""
    has_all = name == "namespace"
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": DATA_SOURCE,
        "definition": query,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": has_all,
        "includeAll": has_all,
        **({"allValue": ".*", "current": {"text": "All", "value": "$__all"}} if has_all else {}),
    }


def _panels(rows: Sequence[Json]) -> Iterator[Json]:
    """Yield rows and their panels with their positions on the page."""
    number, y = 0, 0
    for row in rows:
        number += 1
        yield {
            "id": number,
            "type": "row",
            "title": row["row"],
            "collapsed": False,
            "gridPos": _position(0, y, COLUMNS, 1),
            "panels": [],
        }
        x, y, height = 0, y + 1, 0
        for panel in row["panels"]:
            if x + panel["width"] > COLUMNS:
                x, y, height = 0, y + height, 0
            number += 1
            position = _position(x, y, panel["width"], panel.get("height", HEIGHTS.get(panel["type"], 8)))
            yield _panel(panel, number, position)
            x, height = x + panel["width"], max(height, position["h"])
        y += height


def _position(x: int, y: int, width: int, height: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": width, "h": height}


def _panel(panel: Json, number: int, position: Json) -> Json:
    """Return one panel in Grafana's format."""
    return {
        "id": number,
        "type": panel["type"],
        "title": panel["title"],
        "description": panel["description"],
        "datasource": DATA_SOURCE,
        "gridPos": position,
        "fieldConfig": {"defaults": _defaults(panel), "overrides": panel.get("overrides", [])},
        "options": _OPTIONS[panel["type"]] | panel.get("options", {}),
        "targets": [_target(panel, *query) for query in zip("ABCDEFGH", panel["queries"].items(), strict=False)],
        **({"transformations": _columns(panel)} if panel["type"] == "table" else {}),
    }


def _defaults(panel: Json) -> Json:
    steps = [{"color": color, "value": value} for value, color in panel.get("thresholds", {}).items()]
    custom = {"fillOpacity": 10, "lineWidth": 1, "showPoints": "never", "stacking": {"mode": "none"}} | panel.get(
        "custom", {}
    )
    return {
        "unit": panel["unit"],
        "color": {"mode": "thresholds" if steps and panel["type"] != "timeseries" else "palette-classic"},
        "thresholds": {"mode": "absolute", "steps": [{"color": "green", "value": None}, *steps]},
        **({"custom": custom} if panel["type"] == "timeseries" else {}),
        **{key: panel[key] for key in ("min", "max", "decimals", "mappings") if key in panel},
        **({"noValue": panel["empty"]} if "empty" in panel else {}),
    }


def _target(panel: Json, letter: str, query: tuple[str, str]) -> Json:
    """Return one query; a table shows only the current values."""
    legend, expr = query
    form = (
        {"format": "table", "instant": True} if panel["type"] == "table" else {"format": "time_series", "range": True}
    )
    return {"refId": letter, "datasource": DATA_SOURCE, "expr": " ".join(expr.split()), "legendFormat": legend, **form}


def _columns(panel: Json) -> list[Json]:
    """Return transformations that join the queries by their labels; a query's legend is the name of its column."""
    names = {f"Value #{letter}": legend for letter, legend in zip("ABCDEFGH", panel["queries"], strict=False)}
    hidden_columns = {"Time": True} | dict.fromkeys([column for column, legend in names.items() if not legend], True)
    column_names = {column: legend for column, legend in names.items() if legend}
    return [
        {"id": "merge", "options": {}},
        {"id": "organize", "options": {"excludeByName": hidden_columns, "renameByName": column_names}},
    ]


def dashboard_json(source: Path) -> str:
    """Return the JSON of the dashboard in a YAML file."""
    return json.dumps(dashboard(yaml.safe_load(source.read_text()), f"slipway-{source.stem}"), indent=2) + "\n"


if __name__ == "__main__":
    sources, target = map(Path, sys.argv[1:])
    for source in sorted(sources.glob("*.yaml")):
        (target / f"{source.stem}.json").write_text(dashboard_json(source))
