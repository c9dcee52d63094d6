"""The environments of the Makefile, as `make --dry-run` prints the commands for them."""

import shutil
import subprocess
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).parents[2] / "Makefile"


@pytest.fixture
def checkout(tmp_path):
    """A folder with the files that the Makefile compares by their age, and no environment."""
    shutil.copy(MAKEFILE, tmp_path)
    (tmp_path / "requirements").mkdir()
    for name in ("pyproject.toml", *(f"requirements/{lock}.txt" for lock in ("uv", "dev", "data", "tf-gpu"))):
        (tmp_path / name).touch()
    return tmp_path


def dry_run(folder, *arguments):
    return subprocess.run(
        ["make", "--no-print-directory", "-n", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


def commands(folder, *arguments):
    return dry_run(folder, *arguments).stdout


def build(folder, environment):
    (folder / environment).mkdir()
    (folder / environment / ".ready").touch()


def test_the_demo_on_a_gpu_installs_its_lock_in_an_environment_of_its_own(checkout):
    text = commands(checkout, "demo", "TF=tf-gpu")
    assert "-m venv --clear .venv-gpu\n" in text
    assert "-r requirements/data.txt -r requirements/tf-gpu.txt\n" in text
    assert "\n.venv-gpu/bin/slipway run demo/harbour" in text
    assert "dev.txt" not in text
    assert ".venv/" not in text


def test_the_demo_without_a_choice_runs_in_the_environment_of_the_tests(checkout):
    text = commands(checkout, "demo")
    assert "-r requirements/dev.txt\n" in text
    assert "\n.venv/bin/slipway run demo/harbour" in text
    assert "gpu" not in text


def test_an_environment_that_is_ready_is_used_as_it_is(checkout):
    build(checkout, ".venv-gpu")
    assert "venv --clear" not in commands(checkout, "demo", "TF=tf-gpu")
    assert "-m venv --clear .venv\n" in commands(checkout, "demo", "TF=tf")


def test_tests_run_in_their_environment_whatever_tensorflow_is_chosen(checkout):
    build(checkout, ".venv")
    text = commands(checkout, "test", "TF=tf-gpu")
    assert text.startswith(".venv/bin/pytest ")
    assert "gpu" not in text


def test_images_are_built_with_the_lock_that_is_chosen(checkout):
    assert "--build-arg TF=tf-gpu" in commands(checkout, "images", "TF=tf-gpu")


def test_an_unknown_lock_of_tensorflow_is_refused(checkout):
    result = dry_run(checkout, "demo", "TF=cuda")
    assert result.returncode != 0
    assert "TF is cuda; choose tf, which trains on the CPU, or tf-gpu" in result.stderr
