"""The pages, compared with the code: every option and setting is on a page, and everything that a page names exists."""

import ast
import re
from dataclasses import fields
from pathlib import Path

import pytest
import typer.main
from pydantic import BaseModel

from slipway import errors
from slipway.dataset.finding_kinds import finding_kinds
from slipway.run.names import STAGES
from slipway.run.presets import preset_names
from slipway.run.spec import RunSpec
from slipway.stage.settings import Settings
from tests.findings_page import with_table

from services.cli.local.run_request import FIELDS
from services.cli.main import app
from services.evaluator.coco import NAMES

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "charts/slipway/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
SOURCES = [
    path
    for folder in ("services", "shared", "charts", "manifests")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in (".py", ".yaml", ".txt", ".html", ".tpl") and path.is_file()
]
REFERENCE = (ROOT / "docs/reference.md").read_text()
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
COMMANDS |= {f"{g} {n}": c for g, group in [*COMMANDS.items()] for n, c in getattr(group, "commands", {}).items()}

_LINK = re.compile(r"\]\((?!https?:)([^)#=]*)(?:#([^)]+))?\)")
_CODE = re.compile(r"`([^`\n]+)`")
_FILE = re.compile(r"^(services|shared|tests|docs|requirements)/[\w./-]+$")


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


def first_cells(heading: str) -> str:
    """Return the first column of the tables below a heading of the reference, up to the next heading as high."""
    level = heading.index(" ")
    section = re.split(rf"\n#{{1,{level}}} ", REFERENCE.split(f"\n{heading}\n")[1])[0]
    return "\n".join(line.split("|")[1] for line in section.splitlines() if line.startswith("|"))


def spec_fields(model: type[BaseModel], prefix: str = "") -> list[str]:
    names = []
    for name, field in model.model_fields.items():
        nested = field.annotation if isinstance(field.annotation, type) else None
        if nested and issubclass(nested, BaseModel):
            names += spec_fields(nested, f"{field.alias or name}.")
        else:
            names.append(f"{prefix}{field.alias or name}")
    return names


def anchors(page: Path) -> set[str]:
    """Return the anchors that a page's headings make."""
    headings = re.findall(r"(?m)^#+ (.+)$", page.read_text())
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_relative_link_leads_somewhere(page):
    for target, anchor in _LINK.findall(page.read_text()):
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(file), f"{page.name} links to {target}#{anchor}"


def test_every_page_and_heading_that_code_or_chart_names_exists():
    links = {name for source in SOURCES for name in re.findall(r"\bdocs/[\w.-]+\.md(?:#[\w-]+)?", source.read_text())}
    assert links
    for page, _, anchor in (name.partition("#") for name in links):
        assert (ROOT / page).exists(), page
        assert not anchor or anchor in anchors(ROOT / page), f"{page}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_file_of_the_repository_that_is_named_exists(page):
    for name in filter(_FILE.match, _CODE.findall(page.read_text())):
        assert (ROOT / name).exists(), f"{page.name} names {name}"


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_module_that_is_run_exists(page):
    for module in re.findall(r"python -m ([\w.]+\w)(?![\w.<])", page.read_text()):
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), f"{page.name} runs {module}"


def test_every_make_target_is_described():
    targets = re.findall(r"(?m)^([a-z][\w-]*):(?!=)", (ROOT / "Makefile").read_text())
    described = re.findall(r"(?m)^\| `make ([\w-]+)` \|", (ROOT / "CONTRIBUTING.md").read_text())
    assert sorted(described) == sorted(targets)


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_make_target_that_is_named_exists(page):
    targets = re.findall(r"(?m)^([a-z][\w-]*):(?!=)", (ROOT / "Makefile").read_text())
    lines = re.findall(r"(?m)(?:^|`)make ((?:[a-z][a-z0-9-]*\b ?)+)", page.read_text())
    assert {target for line in lines for target in line.split()} <= set(targets)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_its_options_are_in_the_reference(command):
    assert f"`slipway {command}" in REFERENCE
    for option in COMMANDS[command].params:
        for name in option.opts:
            assert not name.startswith("-") or f"`{name}`" in REFERENCE, f"slipway {command} {name}"


def test_every_option_of_a_command_line_in_the_pages_exists():
    options = {name for command in COMMANDS.values() for option in command.params for name in option.opts}
    for page in PAGES:
        for line in re.findall(r"(?m)(?:^|`)(slipway [^`\n#]+)", page.read_text()):
            unknown = set(re.findall(r"(?<= )--?[a-z][\w-]*", line)) - options - {"--help", "--version"}
            assert not unknown, f"{page.name}: {line}"


def test_options_of_run_are_listed_with_the_fields_they_set():
    for option, targets in FIELDS.items():
        row = next(line for line in REFERENCE.splitlines() if line.startswith(f"| `--{option.replace('_', '-')}` |"))
        for target in targets:
            camel = re.sub(r"_(\w)", lambda m: m[1].upper(), target)
            assert f"`{camel}`" in row.split("|")[3]


def test_every_field_of_a_run_is_in_the_reference():
    listed = first_cells("## Run file")
    assert [field for field in spec_fields(RunSpec) if f"`{field}`" not in listed] == []


def test_no_field_is_in_the_reference_that_a_run_does_not_have():
    listed = _CODE.findall(first_cells("## Run file"))
    assert sorted(listed) == sorted(spec_fields(RunSpec))


def test_every_setting_is_in_the_reference():
    """Each field of `Settings` names its variable in the docstring."""
    listed = first_cells("## Settings of a stage")
    for field in fields(Settings):
        variable = re.search(rf"{field.name}: `([A-Z_]+)`", Settings.__doc__ or "")
        assert variable, field.name
        assert f"`{variable[1]}`" in listed


def test_every_exit_code_is_in_the_readme_and_in_the_reference():
    codes = {str(getattr(errors, name)) for name in vars(errors) if name.startswith("EXIT_")} | {"2", "130"}
    readme = set(re.findall(r"(?m)^\| (\d+) \|", (ROOT / "README.md").read_text()))
    assert readme == codes
    assert set(first_cells("### Exit codes").split()) - {"code", "---"} == codes


def test_every_preset_is_in_the_reference():
    assert sorted(_CODE.findall(first_cells("## Presets"))) == preset_names()


def test_every_metric_is_in_the_reference():
    assert sorted(_CODE.findall(first_cells("## Metrics"))) == sorted(NAMES)


def test_every_stage_is_in_the_tutorial_and_in_the_architecture():
    for page in ("README.md", "docs/architecture.md"):
        text = (ROOT / page).read_text()
        assert [stage for stage in STAGES if not re.search(rf"\b{stage}\b", text)] == []


def test_every_step_of_a_service_is_named_in_the_readme_or_the_tutorial():
    """Steps are the modules for which the tutorial has a file or a command."""
    text = "".join(page.read_text() for page in PAGES)
    steps = ("partition", "label_map", "xml_to_csv", "csv_to_tfrecord", "pipeline_config", "train", "evaluate")
    for step in (*steps, "export", "parity", "model_card", "detect", "box_drawing"):
        (file,) = [*ROOT.glob(f"services/[!c]*/**/{step}.py"), *ROOT.glob(f"shared/slipway/report/{step}.py")]
        assert f"{file.relative_to(ROOT)})" in text


def finding_codes(folder: Path) -> dict[str, set[str]]:
    """Return the codes of findings that modules write, each with the severities that stand beside it."""
    codes: dict[str, set[str]] = {}
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case (
                    ast.Call(args=[ast.Constant(value=str(code)), ast.Constant(value=str(severity)), *_])
                    | ast.Tuple(elts=[ast.Constant(value=str(code)), ast.Constant(value=str(severity)), *_])
                ) if "_" in code and severity in ("error", "warning", "info"):
                    codes.setdefault(code, set()).add(severity)
                case ast.Call(
                    func=ast.Name(id="BrokenImage" | "UnmatchedAnnotation"), args=[ast.Constant(value=code), *_]
                ):
                    codes.setdefault(code, set()).add("error")
                case ast.Assign(targets=[ast.Name(id="code")], value=value):
                    names = [part.value for part in ast.walk(value) if isinstance(part, ast.Constant)]
                    codes |= {name: codes.get(name, set()) for name in names if isinstance(name, str)}
    return codes


def test_every_code_of_a_finding_has_a_kind_of_its_severities():
    """A new code needs an entry in shared/slipway/dataset/finding_kinds.yaml, and then `make findings`."""
    kinds, codes = finding_kinds(), finding_codes(ROOT / "services/ingest")
    assert sorted(codes.keys() - kinds.keys()) == []
    severities = {code: set(kinds[code].severity.split(", ")) for code in codes}
    assert {code: written for code, written in codes.items() if not written <= severities[code]} == {}


def test_every_kind_of_a_finding_is_one_that_ingest_writes():
    literals = {
        node.value
        for path in (ROOT / "services/ingest").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant)
    }
    assert sorted(finding_kinds().keys() - literals) == []


def test_the_table_of_findings_has_every_code():
    """`make findings` writes it."""
    page = (ROOT / "docs/findings.md").read_text()
    assert page == with_table(page)


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_no_figure_is_left_open(page):
    assert "TODO" not in page.read_text()


@pytest.mark.parametrize("page", ["README.md", "docs/tutorial.md"])
def test_the_files_of_both_editions_of_the_tutorial_are_named(page):
    first = ("xml_to_csv.py", "ssd_inception_v2_coco.config", "legacy/train.py", "legacy/eval.py", "model_main.py")
    second = ("pipeline.config", "model_main_tf2.py", "exporter_main_v2.py")
    both = ("partition_dataset.py", "label_map.pbtxt", "generate_tfrecord.py", "tensorboard")
    text = (ROOT / page).read_text()
    assert [name for name in (*first, "export_inference_graph.py", *second, *both) if name not in text] == []
