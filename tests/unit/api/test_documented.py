"""The pages name every route, problem, setting and option of the API, and none that is not there."""

import re
from pathlib import Path
from typing import get_args

from pydantic import BaseModel

from slipway.http.problems import Kind

from services.api.__main__ import parser
from services.api.settings import ApiSettings, Limits, Oidc

ROOT = Path(__file__).parents[3]
REFERENCE = (ROOT / "docs/reference.md").read_text().split("\n## HTTP\n")[1]
SETTINGS = (ROOT / "docs/install.md").read_text().split("\n## API\n")[1].split("\n## ")[0]


def first_cells(text):
    return re.findall(
        r"`([^`]+)`", "\n".join(line.split("|")[1] for line in text.splitlines() if line.startswith("| `"))
    )


def fields(model: type[BaseModel], prefix=""):
    return [f"{prefix}{field.alias}" for field in model.model_fields.values()]


def test_every_route_is_in_the_reference_with_its_role(app):
    rows = re.findall(r"(?m)^\| `([A-Z]+) ([^`?]+)[^`]*` \| (\w+) \|", REFERENCE)
    listed_names = {(method, path) for method, path, _ in rows}
    for path, methods in app.openapi()["paths"].items():
        for method in methods:
            assert (method.upper(), path.replace(":path}", "}")) in listed_names


def test_every_kind_of_problem_is_in_the_reference():
    assert sorted(first_cells(REFERENCE.split("### Problems")[1])) == sorted(get_args(Kind))


def test_every_setting_is_on_the_page_about_installing():
    nested_fields = fields(Oidc, "oidc.") + fields(Limits, "limits.")
    own_fields = [name for name in fields(ApiSettings) if name not in ("oidc", "limits")]
    listed_names = [name for name in first_cells(SETTINGS) if not name.startswith("-")]
    assert sorted(listed_names) == sorted(own_fields + nested_fields)


def test_every_option_is_on_the_page_about_installing():
    listed_names = {name for name in first_cells(SETTINGS) if name.startswith("--")}
    assert listed_names == {f"--{name.replace('_', '-')}" for name in vars(parser().parse_args([]))}
