"""Measure the layout of the product: `python tests/measure_house.py`; `--verbose` adds the places behind each figure.

Reads every Python module below `shared/` and `services/`, prints a table of figures with their limits, and exits with 1
when a figure is above its limit. No module is imported, so each is measured whether its packages are installed or not.
"""

import argparse
import ast
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

STAGES = {"ingest", "preprocess", "train", "export", "detect"}
RUN_NAME = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
BARE_WORDS = set(re.sub("#.*", "", Path(__file__).with_name("bare_words.txt").read_text()).split())
NOT_PARTICIPLES = {"bed", "exceed", "expected", "feed", "need", "proceed", "red", "seed", "speed", "succeed"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Module(NamedTuple):
    """One Python file, its path relative to the root."""

    path: Path
    lines: int
    tree: ast.Module


class Measure(NamedTuple):
    """One row of the table, with the places that its figure counts."""

    title: str
    figure: float
    limit: float
    places: list[str]


def read_modules(root: Path) -> list[Module]:
    paths = sorted(path for part in ("shared", "services") for path in (root / part).rglob("*.py"))
    texts = {path: path.read_text() for path in paths}
    return [Module(path.relative_to(root), len(text.splitlines()), ast.parse(text)) for path, text in texts.items()]


def folder_sizes(modules: Iterable[Module]) -> dict[str, int]:
    """Count the modules side by side in each folder, without `__init__` and `__main__`, where there are any."""
    sizes: dict[str, int] = defaultdict(int)
    for module in modules:
        sizes[module.path.parent.as_posix()] += module.path.stem not in ("__init__", "__main__")
    return {folder: size for folder, size in sizes.items() if size}


def slipway_imports(modules: Iterable[Module]) -> dict[str, set[str]]:
    """Return the packages and modules directly in `shared/slipway`, each with those that it imports anywhere."""
    imports: dict[str, set[str]] = defaultdict(set)
    for module in modules:
        if module.path.parts[:2] == ("shared", "slipway") and module.path.parts[2] != "__init__.py":
            imports[module.path.with_suffix("").parts[2]] |= set(_imported_packages(module.tree))
    return {package: targets & imports.keys() - {package} for package, targets in imports.items()}


def _imported_packages(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{name}" for name in names]
        yield from (name.split(".")[1] for name in names if name.startswith("slipway."))


def floors(imports: dict[str, set[str]]) -> dict[str, int]:
    """Return the length of the longest chain of imports from each package; packages in a cycle count as one."""
    reach = _reach(imports)
    below = {package: {target for target in reach[package] if package not in reach[target]} for package in imports}
    heights: dict[str, int] = {}
    for package in sorted(imports, key=lambda package: len(below[package])):  # those below it come before it
        heights[package] = 1 + max((heights[target] for target in below[package]), default=0)
    return heights


def cycles(imports: dict[str, set[str]]) -> list[str]:
    """Return the imports from package to package that are part of a cycle."""
    reach = _reach(imports)
    pairs = [(package, target) for package, targets in imports.items() for target in targets]
    return sorted(f"{package} imports {target}" for package, target in pairs if package in reach[target])


def _reach(imports: dict[str, set[str]]) -> dict[str, set[str]]:
    reach = {package: set(targets) for package, targets in imports.items()}
    for middle in imports:
        for targets in reach.values():
            targets.update(reach[middle] if middle in targets else ())
    return reach


class _Names(ast.NodeVisitor):
    """Collects the names that a module defines, with their lines: each once in its module, class or function."""

    def __init__(self) -> None:
        self.lines: dict[tuple[str, str], int] = {}
        self._scopes = [""]

    def visit(self, node: ast.AST) -> None:
        match node:
            case (
                ast.FunctionDef(name=str(name)) | ast.AsyncFunctionDef(name=str(name)) | ast.arg(arg=name)
                | ast.Name(id=name, ctx=ast.Store()) | ast.ExceptHandler(name=str(name))
                | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name))
            ):  # fmt: skip
                self._define(node, name, self._scopes[-1])
            case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                self._define(node, name, self._scopes[-2])
        is_scope = isinstance(node, ast.ClassDef | Function)
        self._scopes += [f"{self._scopes[-1]}.{node.name}"] if is_scope else []
        self.generic_visit(node)
        self._scopes = self._scopes[:-1] if is_scope else self._scopes

    def _define(self, node: ast.AST, name: str, scope: str) -> None:
        if name.strip("_") and name not in ("self", "cls") and not name.startswith("__"):
            self.lines.setdefault((scope, name), node.lineno)


def defined_names(tree: ast.Module) -> list[tuple[str, int]]:
    """Return the names of functions, methods, parameters, variables and attributes of `self`, with their lines.

    A name counts once in each module, class or function that defines it. `self`, `cls`, `_` and names that begin with
    two underscores are left out, and so are the names of classes: an error is named after what happened.
    """
    names = _Names()
    names.visit(tree)
    return [(name, line) for (_, name), line in names.lines.items()]


def is_bare(name: str) -> bool:
    """Check whether the name is one word, and that a participle, a past tense or an adverb: its noun is left out."""
    word = name.strip("_").lower()
    is_regular = word.endswith("ed") and "_" not in word and word not in NOT_PARTICIPLES
    return is_regular or word in BARE_WORDS


def string_reads(tree: ast.Module) -> list[int]:
    """Return the line of each subscript that reads by a literal string: `row["step"]`."""
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load)]
    return [node.lineno for node in nodes if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str)]


def stage_lists(tree: ast.Module) -> list[int]:
    """Return the line of each tuple, list, set or dict that names four stages or more."""
    nodes = [(node, getattr(node, "elts", None) or getattr(node, "keys", [])) for node in ast.walk(tree)]
    words = [(node, {item.value for item in items if isinstance(item, ast.Constant)}) for node, items in nodes]
    return [node.lineno for node, values in words if len(STAGES & values) >= 4]


def run_name_patterns(tree: ast.Module) -> list[int]:
    constants = [node for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return [node.lineno for node in constants if isinstance(node.value, str) and RUN_NAME in node.value]


def base_models(tree: ast.Module) -> list[int]:
    """Return the line of each class straight from pydantic's BaseModel that holds a configuration and no field."""
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    models = [node for node in classes if "BaseModel" in {ast.unparse(base).split(".")[-1] for base in node.bases}]
    return [node.lineno for node in models if not any(isinstance(line, ast.AnnAssign) for line in node.body)]


def long_functions(tree: ast.Module) -> list[int]:
    """Return the line of each function of more than 30 lines, decorators and docstring not counted."""
    functions = [node for node in ast.walk(tree) if isinstance(node, Function)]
    docstrings = [(ast.get_docstring(node, clean=False) or "").splitlines() for node in functions]
    spans = [(node.lineno, node.end_lineno - len(text)) for node, text in zip(functions, docstrings, strict=True)]
    return [first for first, last in spans if last - first + 1 > 30]


def wide_functions(tree: ast.Module) -> list[int]:
    """Return the line of each function of more than five parameters, but for commands and routes, which users fill."""
    functions = [node for node in ast.walk(tree) if isinstance(node, Function)]
    inner = [node for node in functions if not any(isinstance(call, ast.Call) for call in node.decorator_list)]
    return [node.lineno for node in inner if len(_parameters(node) - {"self", "cls"}) > 5]


def _parameters(function: Function) -> set[str]:
    return {node.arg for node in ast.walk(function.args) if isinstance(node, ast.arg)}


def layout_measures(modules: list[Module]) -> Iterator[Measure]:
    sizes = folder_sizes(modules)
    largest = [f"{size} {folder}" for folder, size in sorted(sizes.items(), key=lambda item: -item[1])]
    in_api = [size for folder, size in sizes.items() if f"{folder}/".startswith("services/api/")]
    imports = slipway_imports(modules)
    heights = sorted((floor, package) for package, floor in floors(imports).items())
    cycle = cycles(imports)
    yield Measure("modules in the fullest folder", max(sizes.values(), default=0), 15, largest)
    yield Measure("modules in a folder, median", median(sizes.values()), 5, [])
    yield Measure("floors of imports in slipway", heights[-1][0], 6, [f"{floor} {name}" for floor, name in heights])
    yield Measure("imports in a cycle in slipway", len(cycle), 0, cycle)
    yield Measure("modules side by side in services/api", max(in_api, default=0), 8, [])


def text_measures(modules: list[Module]) -> Iterator[Measure]:
    names = [(f"{module.path}:{line} {name}", name) for module in modules for name, line in defined_names(module.tree)]
    bare = [place for place, name in names if is_bare(name)]
    reads = _places(modules, string_reads)
    lines = sum(module.lines for module in modules)
    yield Measure("names that are a bare participle or adverb, %", 100 * len(bare) / max(1, len(names)), 2, bare)
    yield Measure("string subscripts in 1,000 lines", 1000 * len(reads) / max(1, lines), 10, reads)
    copies = {"the list of stages": stage_lists, "the run-name pattern": run_name_patterns, "a base model": base_models}
    for title, find in copies.items():
        places = _places(modules, find)
        yield Measure(f"modules that write out {title}", len({place.split(":")[0] for place in places}), 1, places)


def budget_measures(modules: list[Module]) -> Iterator[Measure]:
    long_modules = [f"{module.path} {module.lines}" for module in modules if module.lines > 250]
    yield Measure("modules over 250 lines", len(long_modules), 0, long_modules)
    for title, find in {"over 30 lines": long_functions, "with more than 5 parameters": wide_functions}.items():
        places = _places(modules, find)
        yield Measure(f"functions {title}", len(places), 0, places)


def _places(modules: Iterable[Module], find: Callable[[ast.Module], list[int]]) -> list[str]:
    return [f"{module.path}:{line}" for module in modules for line in find(module.tree)]


def measure(root: Path) -> list[Measure]:
    modules = read_modules(root)
    return [*layout_measures(modules), *text_measures(modules), *budget_measures(modules)]


def table(measures: Iterable[Measure]) -> str:
    rows = [f"{'measure':46}{'today':>7}{'limit':>7}  ok"]
    for row in measures:
        rows.append(f"{row.title:46}{row.figure:>7.4g}{row.limit:>7g}  {'yes' if row.figure <= row.limit else 'no'}")
    return "\n".join(rows)


def main() -> int:
    parser = argparse.ArgumentParser(description="Print the figures of the product's layout, and their limits.")
    parser.add_argument("--verbose", action="store_true", help="also print the places that each figure counts")
    arguments = parser.parse_args()
    measures = measure(Path(__file__).parents[1])
    if arguments.verbose:
        for row in measures:
            print(f"{row.title}:", *row.places, "", sep="\n  ")
    print(table(measures))
    return 0 if all(row.figure <= row.limit for row in measures) else 1


if __name__ == "__main__":
    raise SystemExit(main())
