"""A sixth stage is added to a copy of the product: two lines in `names.py`, and a folder in `services/`."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from slipway.run.names import STAGES

ROOT = Path(__file__).parents[4]
SERVICE = """
from slipway.artifacts.outcome import StageResult
from slipway.stage.runner import write_result


def publish(params, store):
    return write_result(store, params.run.metadata.name, "publish", StageResult(duration_sec=0.5))
"""
MAIN = """
from slipway.stage.runner import leave, run_stage

from services.publisher.service import publish

if __name__ == "__main__":
    leave(run_stage("publish", publish))
"""
# Runs the stages that are not done: with the real state machine, the real runner, and a process for each.
RUN = """
import json
import sys
from pathlib import Path

from slipway.run.spec import TrainingRun
from slipway.store.folder import FolderStore

from services.cli.local.runner import run_local

store = FolderStore(Path(sys.argv[1]))
run = {"metadata": {"name": "ponds"}, "spec": {"dataset": {"source": "/ponds"}}}
events = []
outcome = run_local(TrainingRun.model_validate(run), store, events.append)
stages = [(event["event"], event["stage"]) for event in events if "stage" in event]
print(json.dumps({"state": outcome.state, "reason": outcome.reason, "events": stages}))
"""


@pytest.fixture
def product(tmp_path):
    """Copy the product and add a stage `publish` that does nothing but write its result."""
    for part in ("shared", "services"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    names = tmp_path / "shared/slipway/run/names.py"
    text = names.read_text()
    assert text.count('"detect"]') == text.count('    Process("detect", "detector"),\n') == 1
    text = text.replace('"detect"]', '"detect", "publish"]')
    text = text.replace(
        '    Process("detect", "detector"),\n',
        """    Process("detect", "detector"),
    Process("publish", "publisher"),
""",
    )
    names.write_text(text)
    folder = tmp_path / "services/publisher"
    folder.mkdir()
    for name, content in {"__init__.py": "", "service.py": SERVICE, "__main__.py": MAIN}.items():
        (folder / name).write_text(content)
    return tmp_path


def python(product, *arguments):
    environment = os.environ | {"PYTHONPATH": f"{product}:{product / 'shared'}"}
    command = [sys.executable, "-P", *map(str, arguments)]
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert process.returncode == 0, process.stderr
    return process.stdout


def test_the_local_runner_runs_the_sixth_stage_after_the_fifth(product):
    store = product / "store"
    for stage in STAGES:
        (store / f"runs/ponds/{stage}").mkdir(parents=True)
        (store / f"runs/ponds/{stage}/result.json").write_text("{}")
    outcome = json.loads(python(product, "-c", RUN, store))
    assert (outcome["state"], outcome["reason"]) == ("SUCCEEDED", "")
    assert outcome["events"][:5] == [["stage_skipped", stage] for stage in STAGES]
    names = ("stage_begun", "stage_started", "stage_ended", "stage_over")
    assert outcome["events"][5:] == [[name, "publish"] for name in names]
    assert json.loads((store / "runs/ponds/publish/result.json").read_text()) == {"duration_sec": 0.5}
    assert list((store / "runs/ponds/logs/publish/1").iterdir()) != []


def test_the_controller_has_a_job_for_the_sixth_stage(product):
    run, settings = (ROOT / "manifests/jobs" / name for name in ("run.yaml", "settings.yaml"))
    jobs = yaml.safe_load_all(python(product, "-m", "services.controller", "--jobs", run, "--settings", settings))
    *_, job = jobs
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert job["metadata"]["labels"]["slipway.dev/stage"] == "publish"
    assert (container["name"], container["command"]) == ("publisher", ["python", "-m", "services.publisher"])


def test_a_run_in_a_cluster_may_end_with_the_sixth_stage(product):
    crd = yaml.safe_load(python(product, "-m", "services.controller", "--crd"))
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    until = schema["properties"]["spec"]["properties"]["until"]
    assert until["enum"] == [*STAGES, "publish"]
