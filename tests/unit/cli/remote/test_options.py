"""Tests of all commands that talk to an installation."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer.main

from services.cli.main import app

ROOT = Path(__file__).parents[4]
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'shared'}"}


def test_help_imports_neither_a_client_nor_its_parts():
    heavy = {"urllib3", "certifi", "services.cli.remote.client", "rich.progress", "yaml"}
    code = f"import sys, services.cli.main; print(sorted({heavy} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, check=True)
    assert answer.stdout == "[]\n"


def test_the_options_of_dataset_push_are_in_the_reference():
    reference = (ROOT / "docs/reference.md").read_text()
    group = typer.main.get_command(app).commands["dataset"]
    for name, command in group.commands.items():
        assert f"`slipway dataset {name} " in reference
        for option in command.params:
            assert not option.opts[0].startswith("-") or f"| `{option.opts[0]}` |" in reference


@pytest.mark.usefixtures("logged_in")
def test_ctrl_c_ends_what_is_followed_with_130(cluster):
    cluster.create({"metadata": {"name": "ponds"}, "spec": {"dataset": {"source": "s3://photos/ponds"}}})
    # Tests that a shell began in the background ignore the signal, and so would the command.
    attentive = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code = f"{attentive}from services.cli.main import main; main(['status', 'ponds', '--watch'])"
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'shared'}"}
    with subprocess.Popen(
        [sys.executable, "-u", "-c", code], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout.readline() == "ponds: PENDING\n"
        time.sleep(0.1)
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=20)
    assert (child.returncode, err) == (130, "")
