"""The figures of the product's layout, measured on small trees that are written here."""

import ast
import sys
from pathlib import Path

import pytest

from tests import measure_house
from tests.measure_house import (
    base_models,
    cycles,
    defined_names,
    floors,
    folder_sizes,
    is_bare,
    long_functions,
    measure,
    read_modules,
    run_name_patterns,
    slipway_imports,
    stage_lists,
    string_reads,
    table,
    wide_functions,
)


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def names(text: str) -> list[str]:
    return [name for name, _ in defined_names(ast.parse(text))]


def figures(root: Path) -> dict[str, float]:
    return {row.title: row.figure for row in measure(root)}


def test_a_folder_counts_its_own_modules_without_init_and_main(tmp_path):
    files = ["shared/slipway/__init__.py", "shared/slipway/keys.py", "shared/slipway/store/folder.py"]
    files += [f"services/api/{name}.py" for name in ("__init__", "__main__", "app", "settings", "metrics")]
    write(tmp_path, dict.fromkeys([*files, "services/__init__.py", "tests/test_app.py"], ""))
    sizes = folder_sizes(read_modules(tmp_path))
    assert sizes == {"services/api": 3, "shared/slipway": 1, "shared/slipway/store": 1}


def test_each_way_of_importing_is_an_import_between_packages_of_slipway(tmp_path):
    write(
        tmp_path,
        {
            "shared/slipway/__init__.py": "from slipway import errors",
            "shared/slipway/errors.py": "import json",
            "shared/slipway/keys.py": "from slipway import errors",
            "shared/slipway/events.py": "",
            "shared/slipway/store/folder.py": "from slipway.store.interface import ObjectStore\nimport slipway.keys",
            "shared/slipway/store/interface.py": "def read():\n    from slipway.events import log",
            "services/api/app.py": "from slipway import keys",
        },
    )
    assert slipway_imports(read_modules(tmp_path)) == {
        "errors": set(),
        "keys": {"errors"},
        "events": set(),
        "store": {"keys", "events"},
    }


def test_floors_are_the_longest_chain_of_imports():
    imports = {"cli": {"store", "errors"}, "errors": set(), "keys": {"errors"}, "store": {"keys", "errors"}}
    assert floors(imports) == {"errors": 1, "keys": 2, "store": 3, "cli": 4}


def test_packages_that_import_one_another_share_a_floor_and_each_import_between_them_counts():
    imports = {"run": {"artifacts"}, "artifacts": {"store"}, "store": {"run", "keys"}, "keys": set(), "cli": {"run"}}
    assert floors(imports) == {"keys": 1, "run": 2, "artifacts": 2, "store": 2, "cli": 3}
    assert cycles(imports) == ["artifacts imports store", "run imports artifacts", "store imports run"]


def test_names_are_those_of_functions_parameters_variables_and_attributes():
    text = """
class Store:
    size: int
    def read(self, key, *parts, limit=None, **options):
        self._client, first = None, 1
        for row in parts:
            with open(key) as file: pass
        try: pass
        except OSError as error: pass
        if (text := key): pass
"""
    expected = ["size", "read", "key", "parts", "limit", "options", "_client", "first", "row", "file", "error", "text"]
    assert sorted(names(text)) == sorted(expected)


def test_names_that_a_pattern_captures_count():
    text = "match row:\n  case [head, *tail]: pass\n  case {'key': key, **rest}: pass\n  case int() as number: pass"
    assert sorted(names(text)) == ["head", "key", "number", "tail"]


def test_a_name_counts_once_in_each_function():
    text = "def list(row):\n    row = row\n    row = None\ndef count(row):\n    pass"
    assert names(text) == ["list", "row", "count", "row"]


def test_an_attribute_counts_once_in_its_class():
    text = "class Store:\n  def read(self):\n    self.url = 1\n  def write(self):\n    self.url = 2"
    assert names(text) == ["read", "url", "write"]


def test_classes_imports_and_names_that_python_gives_do_not_count():
    text = (
        "import os\nclass Stopped(Exception):\n  def __init__(self): _ = os.name\n  @classmethod\n  def of(cls): pass"
    )
    assert names(text) == ["of"]


@pytest.mark.parametrize("name", ["found", "_said", "KEPT", "there", "own", "asked", "_listed", "what", "of"])
def test_a_participle_or_adverb_alone_is_bare(name):
    assert is_bare(name)


@pytest.mark.parametrize("name", ["found_run", "is_done", "run", "seed", "speed", "now", "size", "existing_run", "bed"])
def test_a_name_with_a_noun_is_not_bare(name):
    assert not is_bare(name)


def test_only_reads_by_a_literal_string_are_string_subscripts():
    text = 'row["step"]\nrow["step"] = 1\ndel row["step"]\nrow[key]\nrow[0]\nrow.get("step")\nrow["a"]["b"]'
    assert string_reads(ast.parse(text)) == [1, 7, 7]


@pytest.mark.parametrize(
    "text",
    [
        'STAGES = ("ingest", "preprocess", "train", "export", "detect")',
        'Stage = Literal["ingest", "preprocess", "train", "evaluate", "export"]',
        'titles = {"ingest": 1, "preprocess": 2, "train": 3, "export": 4}',
        'first = ["export", "", "detect", "train", "ingest"]',
    ],
    ids=["tuple", "literal", "dict", "list"],
)
def test_a_list_of_stages_is_recognized(text):
    assert stage_lists(ast.parse(text)) == [1]


def test_three_stages_are_not_a_list_of_stages():
    assert stage_lists(ast.parse('for stage in ("ingest", "preprocess", "train"): pass')) == []


def test_the_run_name_pattern_is_recognized_within_a_longer_one():
    text = 'a = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"\nb = rf"runs/[a-z0-9]([-a-z0-9]*[a-z0-9])?/{c}"\nd = r"[a-z0-9]+"'
    assert run_name_patterns(ast.parse(text)) == [1, 2]


def test_a_base_model_has_a_configuration_and_no_field():
    text = """class _Model(BaseModel):
    model_config = ConfigDict(frozen=True)
class Run(_Model):
    model_config = ConfigDict(extra="forbid")
class Filter(BaseModel):
    limit: int
class StrictModel(pydantic.BaseModel):
    model_config = ConfigDict(extra="forbid")"""
    assert base_models(ast.parse(text)) == [1, 7]


def test_a_function_is_long_from_31_lines_on_without_its_docstring():
    docstring = '    """Return nothing.\n\n    At length.\n    """\n'
    short = "def short():\n" + docstring + "    pass\n" * 29
    assert long_functions(ast.parse(short)) == []
    assert long_functions(ast.parse(short + "    pass\n")) == [1]


def test_a_function_is_wide_from_six_parameters_on():
    assert wide_functions(ast.parse("def five(self, a, b, /, c, *, d, e): pass")) == []
    assert wide_functions(ast.parse("async def six(self, a, b, /, c, *, d, e, f): pass")) == [1]
    assert wide_functions(ast.parse("def six(a, b, c, d, *e, **f): pass")) == [1]


def test_commands_and_routes_may_have_any_number_of_parameters():
    assert wide_functions(ast.parse("@app.command('run')\ndef run(a, b, c, d, e, f): pass")) == []


def test_the_table_has_a_figure_for_each_measure(tmp_path):
    pattern = "a = r'[a-z0-9]([-a-z0-9]*[a-z0-9])?'"
    write(tmp_path, {f"services/api/pages/m{n}.py": pattern for n in range(9)})
    write(tmp_path, {f"shared/slipway/{name}.py": "found = 1\nrow['step']\n\n" for name in ("errors", "keys")})
    write(tmp_path, {"shared/slipway/run.py": "from slipway import keys\nkeys = 1\n" + "\n" * 250})
    assert figures(tmp_path) == {
        "modules in the fullest folder": 9,
        "modules in a folder, median": 6,
        "floors of imports in slipway": 2,
        "imports in a cycle in slipway": 0,
        "modules side by side in services/api": 9,
        "names that are a bare participle or adverb, %": pytest.approx(100 * 2 / 12),
        "string subscripts in 1,000 lines": pytest.approx(1000 * 2 / 267),
        "modules that write out the list of stages": 0,
        "modules that write out the run-name pattern": 9,
        "modules that write out a base model": 0,
        "modules over 250 lines": 1,
        "functions over 30 lines": 0,
        "functions with more than 5 parameters": 0,
    }


def test_a_figure_above_its_limit_is_marked_and_ends_the_script_with_1(tmp_path, monkeypatch, capsys):
    write(tmp_path, {"shared/slipway/keys.py": "found = 1", "tests/measure_house.py": ""})
    monkeypatch.setattr(measure_house, "__file__", str(tmp_path / "tests/measure_house.py"))
    monkeypatch.setattr(sys, "argv", ["measure_house.py", "--verbose"])
    assert measure_house.main() == 1
    text = capsys.readouterr().out
    assert "\n  shared/slipway/keys.py:1 found\n" in text
    assert [line for line in text.splitlines() if line.endswith("  no")] == [
        "names that are a bare participle or adverb, %     100      2  no"
    ]


def test_figures_within_their_limits_end_the_script_with_0(tmp_path, monkeypatch, capsys):
    write(tmp_path, {"shared/slipway/keys.py": "prefix = 1", "tests/measure_house.py": ""})
    monkeypatch.setattr(measure_house, "__file__", str(tmp_path / "tests/measure_house.py"))
    monkeypatch.setattr(sys, "argv", ["measure_house.py"])
    assert measure_house.main() == 0
    assert capsys.readouterr().out == table(measure(tmp_path)) + "\n"


def test_the_product_is_within_its_limits():
    rows = measure(Path(__file__).parents[2])
    above = ["\n  ".join([f"{row.title}: {row.figure}", *row.places]) for row in rows if row.figure > row.limit]
    assert above == [], "\n".join(above)
