"""A release that Prometheus watches: first a healthy run, then each alert's scenario. It takes half an hour.

Off unless `SLIPWAY_TEST_CONTEXT` names kubectl's current context; needs helm and Prometheus, which must reach the pods
from this machine. `STOP` and `KILL` precede a container's id and send its first process SIGSTOP and SIGKILL. `VALUES`
is a file of more values for the chart, `SHOTS` a folder for pictures of TensorBoard.
"""

import json
import os
import time
import urllib.request
from datetime import datetime
from pathlib import Path

import pytest
import yaml

from tests import browser
from tests.cluster.prometheus import by_annotations, in_fast_time, prometheus
from tests.cluster.release import CHART, installed, logged_in
from tests.cluster.scenarios import PACES, SCENARIOS, SMALL, THRESHOLDS, Lab, await_answer, datasets
from tests.dashboards import has_shown, queries
from tests.programs import require

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
RULES = yaml.safe_load((CHART / "files/rules.yaml").read_text())
ALERTS = sorted(alert for scenario in SCENARIOS for alert in scenario.alerts)
LAST_SAMPLES = (
    'slipway_training_step{stage="train"}',
    'slipway_training_loss{stage="train"}',
    'slipway_evaluation_ap{stage="evaluate"}',
    'slipway_evaluation_ap50{stage="evaluate"}',
    'slipway_run_stage_duration_seconds{stage="ingest"}',
    'slipway_run_stage_duration_seconds{stage="train"}',
    'slipway_run_stage_duration_seconds{stage="detect"}',
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    require("prometheus")
    if not (os.environ.get("STOP") and os.environ.get("KILL")):
        pytest.skip("STOP and KILL say how a container's first process is sent a signal")
    folder = tmp_path_factory.mktemp("lab")
    datasets(folder)
    values = {"settings": {"keepJobs": 30, "pools": {"nowhere": {"nodeSelector": {"example.org/is": "nowhere"}}}}}
    (folder / "values.yaml").write_text(yaml.safe_dump(values))
    options = ["--values", os.environ["VALUES"]] if os.environ.get("VALUES") else []
    rules = in_fast_time(RULES, THRESHOLDS, PACES)
    with (
        installed("slipway-alerts", *options, "--values", str(folder / "values.yaml")) as release,
        logged_in(release, folder) as client,
        prometheus(folder / "prometheus", release, by_annotations(), rules) as server,
        release.forwarded("api", 8000) as api,
        release.forwarded("detector", 8000) as detector,
    ):
        references = {name: client.push(folder / name) for name in ("harbour", "large")}
        stop, kill = os.environ["STOP"], os.environ["KILL"]
        yield Lab(release, client, server, folder, stop, kill, api, detector, references)


@pytest.fixture(scope="module")
def curves(lab):
    """Submit a run, and return the tags of its scalars and images in TensorBoard while it trains."""
    train = SMALL | {"steps": 400, "checkpointEvery": 50}
    lab.client.submit("ponds", lab.datasets["harbour"], train=train)
    lab.await_state("ponds", "RUNNING")
    with lab.release.forwarded("tensorboard", 6006) as address:
        tags = await_answer(lambda: tags_shown(address, "ponds"), 400, "curves and images of ponds in TensorBoard")
        assert lab.await_state("ponds", "RUNNING") == "RUNNING"
        if pictures := os.environ.get("SHOTS"):
            photograph(address, Path(pictures), lab.folder)
    return tags


@pytest.fixture(scope="module")
def healthy(lab, curves):
    """Wait until the run has ended, send images to its model, wait until its pods are gone; return its start time."""
    start = lab.release.get("trun", "ponds")["metadata"]["creationTimestamp"]
    assert lab.await_state("ponds") == "SUCCEEDED"
    image = next((lab.folder / "harbour").rglob("*.jpg")).read_bytes()
    with (
        lab.requested(f"{lab.detector}/v1/models/ponds:predict", image=image),
        lab.requested(f"{lab.api}/v1/runs", f"{lab.api}/v1/runs/ponds/logs"),
    ):
        await_answer(lambda: not lab.release.get("pods", "--selector", "slipway.dev/run=ponds")["items"], 300, "no pod")
        time.sleep(60)
    return datetime.fromisoformat(start).timestamp()


@pytest.fixture(scope="module")
def troubled(lab, healthy):
    """Play every scenario; return the alerts that fired."""
    alerts = set()
    for scenario in SCENARIOS:
        start = time.time()
        scenario.play(lab)
        alerts |= scenario.alerts - lab.prometheus.await_fired(start, scenario.alerts, scenario.patience_sec)
    return alerts


def has_gpu(lab):
    return bool(lab.prometheus.now("last_over_time(slipway_gpu_utilization_ratio[1h])"))


def tags_shown(address, run):
    """Return the tags of the run's scalars and of its images, once both exist."""
    tags = {}
    for plugin in ("scalars", "images"):
        with urllib.request.urlopen(f"{address}/data/plugin/{plugin}/tags", timeout=60) as answer:
            run_tags = json.load(answer)
        tags[plugin] = {tag for name, names in run_tags.items() if name.startswith(run) for tag in names}
    return tags if all(tags.values()) else {}


def photograph(address, pictures, folder):
    """Take pictures of TensorBoard's pages as a person sees them."""
    with browser.browser(folder) as chromium:
        for plugin in ("timeseries", "scalars", "images"):
            page = chromium.page()  # in the same page only the part after # would change, and nothing be loaded
            page.look_like(1280, 1400)
            page.open(f"{address}/?darkMode=false#{plugin}")
            time.sleep(15)
            page.screenshot(pictures / f"tensorboard-{plugin}.png")


def test_curves_and_images_of_a_live_run_are_in_tensorboard(curves):
    assert any("loss" in tag for tag in curves["scalars"])
    assert any("AP" in tag for tag in curves["scalars"])
    assert curves["images"]


def test_the_last_metrics_of_a_run_outlive_its_pods(lab, healthy):
    newest = {name: lab.prometheus.now(f'{name[:-1]},run="ponds"}}') for name in LAST_SAMPLES}
    assert [name for name, series in newest.items() if len(series) != 1] == []
    (step,) = newest[LAST_SAMPLES[0]].values()
    assert step == 400


def test_no_alert_fires_for_a_healthy_run(lab, healthy):
    assert lab.prometheus.fired(healthy) == set()


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_fires_in_its_scenario(alert, lab, troubled):
    assert alert in troubled


@pytest.mark.parametrize("query", [*queries()], ids=lambda query: query.panel)
def test_a_panel_has_shown_something(query, lab, troubled):
    if has_shown(lab.prometheus.address, query.filled("ponds"), time.time(), seconds=7200, step=5):
        return
    if "slipway_gpu_" in query.expr and not has_gpu(lab):
        pytest.skip("no trainer has a GPU")
    pytest.fail(f"{query.panel}: nothing for {query.filled('ponds')}")
