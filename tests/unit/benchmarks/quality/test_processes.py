"""Commands of the quality benchmark as processes."""

import sys

import pytest

from tests.benchmarks.quality.processes import CommandFailed, run_command


def test_processor_time_of_the_children_counts(tmp_path):
    child = "import time; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}], check=True)"
    usage = run_command([sys.executable, "-c", parent], tmp_path, tmp_path / "log")
    assert usage.cpu_sec >= 0.3
    assert usage.wall_sec >= 0.3


def test_output_is_in_the_log_and_variables_are_set(tmp_path):
    words = [sys.executable, "-c", "import os; print(os.environ['POND'])"]
    run_command(words, tmp_path, tmp_path / "logs/pond", {"POND": "deep"})
    assert (tmp_path / "logs/pond").read_text() == "deep\n"


def test_a_failed_command_names_its_code_and_the_end_of_its_log(tmp_path):
    words = [sys.executable, "-c", "raise SystemExit('no water')"]
    with pytest.raises(CommandFailed, match=r"(?s)ended with 1; the end of .*log:\nno water"):
        run_command(words, tmp_path, tmp_path / "log")
