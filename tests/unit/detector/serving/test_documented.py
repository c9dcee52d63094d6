"""The pages name every route, setting and option of the server, and no others."""

import re
from pathlib import Path

from services.detector.serving.__main__ import parser
from services.detector.serving.settings import DetectorSettings, Limits

ROOT = Path(__file__).parents[4]
REFERENCE = (ROOT / "docs/reference.md").read_text().split("\n## Serving models\n")[1].split("\n## ")[0]
SETTINGS = (ROOT / "docs/install.md").read_text().split("\n## Detector\n")[1].split("\n## ")[0]
NAMES = re.findall(r"`([^`]+)`", "\n".join(re.findall(r"(?m)^\| (`.+?) \|", SETTINGS)))


def test_every_route_is_in_the_reference(app):
    documented_routes = re.findall(r"(?m)^\| `([A-Z]+) ([^`]+)` \|", REFERENCE)
    paths = app.openapi()["paths"].items()
    assert sorted(documented_routes) == sorted((method.upper(), path) for path, methods in paths for method in methods)


def test_every_setting_is_on_the_page_about_installing():
    limits = [f"limits.{field.alias}" for field in Limits.model_fields.values()]
    names = [str(field.alias) for name, field in DetectorSettings.model_fields.items() if name != "limits"]
    assert sorted(name for name in NAMES if not name.startswith("-")) == sorted(names + limits)


def test_every_option_is_on_the_page_about_installing():
    options = {name for name in NAMES if name.startswith("--")}
    assert options == {f"--{name.replace('_', '-')}" for name in vars(parser().parse_args([]))}
