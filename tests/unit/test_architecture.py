"""The tree in docs/architecture.md, compared with the folders and modules of the product."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/architecture.md").read_text()
_UNNAMED = ("__init__.py", "__main__.py")  # every package has the first, every service the second


def drawn_paths(tree: str) -> list[str]:
    """Return the paths that a drawn tree names; those of folders end with a slash.

    Names are separated by one space, and end at the first two spaces: a description follows. A line that begins with a
    folder is its heading: names after the folder, and all on the lines below that are indented further, are inside it.
    """
    paths: list[str] = []
    headings: list[tuple[int, str]] = []
    for line in filter(str.strip, tree.splitlines()):
        indent = len(line) - len(line.lstrip())
        headings = [(depth, folder) for depth, folder in headings if depth < indent]
        first, *others = re.split(" {2,}", line.strip())[0].split(" ")
        parent = headings[-1][1] if headings else ""
        if first.endswith("/"):
            headings.append((indent, f"{parent}{first}"))
        paths += [f"{parent}{first}", *(f"{headings[-1][1] if headings else ''}{name}" for name in others)]
    return paths


def product_paths(root: Path) -> set[str]:
    """Return the folders and modules of `shared/slipway` and `services`, but for folders that hold only caches."""
    files = [path for part in ("shared/slipway", "services") for path in (root / part).rglob("*") if path.is_file()]
    names = [path.relative_to(root) for path in files if "__pycache__" not in path.parts]
    folders = {f"{folder}/" for name in names for folder in name.parents if folder not in (Path(), Path("shared"))}
    return folders | {str(name) for name in names if name.suffix == ".py" and name.name not in _UNNAMED}


def drawn_tree(page: str) -> str:
    """Return the first fenced block below the heading "Layout"."""
    return page.split("\n## Layout\n")[1].split("```\n")[1]


def test_names_end_where_the_description_begins():
    assert drawn_paths("services/   a folder a stage, see keys.py") == ["services/"]


def test_what_is_indented_below_a_folder_is_inside_it():
    tree = """
services/            programs
  ingest/            a dataset
    service.py
    formats/
      voc.py coco.py
    splits/
  api/

shared/slipway/
  keys.py            every key
"""
    assert drawn_paths(tree) == [
        "services/",
        "services/ingest/",
        "services/ingest/service.py",
        "services/ingest/formats/",
        "services/ingest/formats/voc.py",
        "services/ingest/formats/coco.py",
        "services/ingest/splits/",
        "services/api/",
        "shared/slipway/",
        "shared/slipway/keys.py",
    ]


def test_names_on_the_line_of_a_folder_are_inside_it():
    tree = """
store/ interface.py folder.py   where things are
  s3/ client.py
     object.py
  memory.py
keys.py errors.py
"""
    assert drawn_paths(tree) == [
        "store/",
        "store/interface.py",
        "store/folder.py",
        "store/s3/",
        "store/s3/client.py",
        "store/s3/object.py",
        "store/memory.py",
        "keys.py",
        "errors.py",
    ]


def test_the_product_has_its_folders_and_modules_without_caches(tmp_path):
    for name in (
        "shared/slipway/__init__.py",
        "shared/slipway/run/presets/small.yaml",
        "shared/slipway/old/__pycache__/keys.cpython-311.pyc",
        "services/Dockerfile",
        "services/ingest/__main__.py",
        "services/ingest/service.py",
        "tests/unit/test_docs.py",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert product_paths(tmp_path) == {
        "shared/slipway/",
        "shared/slipway/run/",
        "shared/slipway/run/presets/",
        "services/",
        "services/ingest/",
        "services/ingest/service.py",
    }


def test_the_tree_names_every_folder_and_module_of_the_product():
    assert sorted(product_paths(ROOT) - set(drawn_paths(drawn_tree(PAGE)))) == []


def test_every_path_in_the_tree_exists():
    paths = drawn_paths(drawn_tree(PAGE))
    assert [path for path in paths if not (ROOT / path).exists() or path.endswith("/") != (ROOT / path).is_dir()] == []


def test_no_path_is_in_the_tree_twice():
    paths = drawn_paths(drawn_tree(PAGE))
    assert sorted({path for path in paths if paths.count(path) > 1}) == []
