"""The locks of requirements/: the images ship the versions that the tests run, and all that their services import."""

import re
import sys
import tomllib
from collections import defaultdict
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path

import grimp
import pytest

FOLDER = Path(__file__).parents[2] / "requirements"
LOCKS = sorted(path.stem for path in FOLDER.glob("*.txt") if path.stem not in ("overrides", "excludes"))
SERVICES = {
    "light": ["api", "cli", "controller"],
    "data": ["ingest", "preprocess"],
    "tf": ["detector", "evaluator", "exporter", "tensorboard", "trainer"],
}

# Locks that may have other versions than dev.txt, and why.
EXEMPTIONS = {
    "checkov": "It pins boto3, packaging and others; the newest release without these pins is 3.1.47, of 2024. "
    "It has an environment of its own, .venv-checkov, and is in no image.",
}

_ENTRY = re.compile(r"(?m)^([a-z0-9][a-z0-9.-]*)==([^ ]+)((?: ;[^\\\n]*)?(?: \\\n    --hash=sha256:[0-9a-f]{64})+)$")


def versions(lock: str) -> dict[str, set[str]]:
    """Return each package's versions: more than one where it depends on the version of Python."""
    result = defaultdict(set)
    for name, version, _ in _ENTRY.findall((FOLDER / f"{lock}.txt").read_text()):
        result[name].add(version)
    return result


def differences(lock: str) -> dict[str, tuple[set[str], set[str]]]:
    """Return the packages that a lock and dev.txt have in different versions."""
    dev = versions("dev")
    return {name: (here, dev[name]) for name, here in versions(lock).items() if dev.get(name, here) != here}


def imported_packages(services: list[str]) -> set[str]:
    """Return the packages that services import, directly or through slipway, also inside functions."""
    graph = grimp.build_graph("services", "slipway", include_external_packages=True, cache_dir=None)
    modules = {m for name in services for m in graph.find_upstream_modules(f"services.{name}", as_package=True)}
    return {module.partition(".")[0] for module in modules} - {"services", "slipway"} - sys.stdlib_module_names


def test_every_lock_of_the_makefile_is_compared():
    written = re.findall(r"-o requirements/([a-z-]+)\.txt", (FOLDER.parent / "Makefile").read_text())
    assert sorted(written) == LOCKS


@pytest.mark.parametrize("lock", [name for name in LOCKS if name not in EXEMPTIONS])
def test_no_package_has_another_version_than_the_tests_run(lock):
    assert differences(lock) == {}, "run make lock"


@pytest.mark.parametrize("lock", SERVICES)
def test_every_package_of_an_image_is_there_when_the_tests_run(lock):
    assert versions(lock).keys() - versions("dev").keys() == set()


@pytest.mark.parametrize("lock", EXEMPTIONS)
def test_an_exempt_lock_still_differs(lock):
    assert differences(lock) != {}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_line_of_a_lock_is_a_version_with_its_hashes(lock):
    """An address of an index, or a package without a hash, is neither."""
    assert _ENTRY.sub("", (FOLDER / f"{lock}.txt").read_text()).strip() == ""


def test_every_service_is_in_an_image():
    folders = (FOLDER.parent / "services").glob("*/__main__.py")
    assert sorted(path.parent.name for path in folders) == sorted(chain(*SERVICES.values()))


@pytest.mark.parametrize("lock", SERVICES)
def test_every_package_that_a_service_imports_is_in_its_image(lock):
    """The tests have the union of all environments, where nothing is missing."""
    distributions = packages_distributions()
    for package in imported_packages(SERVICES[lock]):
        names = {re.sub(r"[-_.]+", "-", name).lower() for name in distributions[package]}
        assert names & versions(lock).keys(), f"{lock}.txt has no {package}"


def test_the_environment_of_a_gpu_has_every_package_of_a_run_on_a_cpu():
    """TensorFlow is one package there, which brings CUDA's libraries."""
    gpu_packages = versions("data").keys() | versions("tf-gpu").keys()
    assert (versions("data").keys() | versions("tf").keys()) - gpu_packages == {"tensorflow-cpu"}
    assert {"tensorflow", "nvidia-cudnn-cu12"} <= gpu_packages


@pytest.mark.parametrize(("extra", "tensorflow"), [("cpu", "tf"), ("gpu", "tf-gpu")])
def test_an_extra_for_one_machine_brings_the_packages_of_data_and_of_tensorflow(extra, tensorflow):
    extras = tomllib.loads((FOLDER.parent / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert extras[extra] == [f"slipway[data,{tensorflow}]"]
    assert {"data", tensorflow} <= extras.keys()
