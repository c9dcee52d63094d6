"""A release that Prometheus watches: first all is well, then each alert's scenario is played. It takes half an hour.

Off unless `SLIPWAY_TEST_CONTEXT` names kubectl's current context; needs helm and Prometheus, which must reach the pods
from here. `STOP` and `KILL` come before a container's id and send its first process SIGSTOP and SIGKILL. `VALUES` is a
file of more values for the chart, `SHOTS` a folder for pictures of TensorBoard.
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
from tests.cluster.scenarios import PACES, SCENARIOS, SMALL, THRESHOLDS, Lab, await_that, datasets
from tests.dashboards import has_shown, queries
from tests.programs import require

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
RULES = yaml.safe_load((CHART / "files/rules.yaml").read_text())
ALERTS = sorted(alert for scenario in SCENARIOS for alert in scenario.alerts)
LAST_WORDS = (
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
    nowhere = {"settings": {"keepJobs": 30, "pools": {"nowhere": {"nodeSelector": {"example.org/is": "nowhere"}}}}}
    (folder / "values.yaml").write_text(yaml.safe_dump(nowhere))
    more = ["--values", os.environ["VALUES"]] if os.environ.get("VALUES") else []
    rules = in_fast_time(RULES, THRESHOLDS, PACES)
    with (
        installed("slipway-alerts", *more, "--values", str(folder / "values.yaml")) as release,
        logged_in(release, folder) as client,
        prometheus(folder / "prometheus", release, by_annotations(), rules) as watching,
        release.forwarded("api", 8000) as api,
        release.forwarded("detector", 8000) as detector,
    ):
        pushed = {name: client.push(folder / name) for name in ("harbour", "large")}
        stop, kill = os.environ["STOP"], os.environ["KILL"]
        yield Lab(release, client, watching, folder, stop, kill, api, detector, pushed)


@pytest.fixture(scope="module")
def curves(lab):
    """Let a run be seen in TensorBoard while it trains; return the tags of its scalars and images."""
    train = SMALL | {"steps": 400, "checkpointEvery": 50}
    lab.client.submit("ponds", lab.datasets["harbour"], train=train)
    lab.await_state("ponds", "RUNNING")
    with lab.release.forwarded("tensorboard", 6006) as address:
        tags = await_that(lambda: shown(address, "ponds"), 400, "curves and images of ponds in TensorBoard")
        assert lab.await_state("ponds", "RUNNING") == "RUNNING"
        if pictures := os.environ.get("SHOTS"):
            photograph(address, Path(pictures), lab.folder)
    return tags


@pytest.fixture(scope="module")
def healthy(lab, curves):
    """Let it end, send its model images, and let its pods go; return when all that began."""
    began = lab.release.get("trun", "ponds")["metadata"]["creationTimestamp"]
    assert lab.await_state("ponds") == "SUCCEEDED"
    image = next((lab.folder / "harbour").rglob("*.jpg")).read_bytes()
    with (
        lab.asked(f"{lab.detector}/v1/models/ponds:predict", image=image),
        lab.asked(f"{lab.api}/v1/runs", f"{lab.api}/v1/runs/ponds/logs"),
    ):
        await_that(lambda: not lab.release.get("pods", "--selector", "slipway.dev/run=ponds")["items"], 300, "no pod")
        time.sleep(60)
    return datetime.fromisoformat(began).timestamp()


@pytest.fixture(scope="module")
def troubled(lab, healthy):
    """Play everything that goes wrong; return the alerts that came of it."""
    fired = set()
    for scenario in SCENARIOS:
        began = time.time()
        scenario.play(lab)
        fired |= scenario.alerts - lab.prometheus.await_fired(began, scenario.alerts, scenario.patience_sec)
    return fired


def has_gpu(lab):
    return bool(lab.prometheus.now("last_over_time(slipway_gpu_utilization_ratio[1h])"))


def shown(address, run):
    """Return the tags of the run's scalars and of its images, once there are both."""
    found = {}
    for plugin in ("scalars", "images"):
        with urllib.request.urlopen(f"{address}/data/plugin/{plugin}/tags", timeout=60) as answer:
            of_runs = json.load(answer)
        found[plugin] = {tag for name, tags in of_runs.items() if name.startswith(run) for tag in tags}
    return found if all(found.values()) else {}


def photograph(address, pictures, folder):
    """Take pictures of TensorBoard's pages as a person sees them."""
    with browser.browser(folder) as opened:
        for plugin in ("timeseries", "scalars", "images"):
            page = opened.page()  # in the same one only what is behind the # would change, and nothing be loaded
            page.look_like(1280, 1400)
            page.open(f"{address}/?darkMode=false#{plugin}")
            time.sleep(15)
            page.screenshot(pictures / f"tensorboard-{plugin}.png")


def test_curves_and_images_of_a_live_run_are_in_tensorboard(curves):
    assert any("loss" in tag for tag in curves["scalars"])
    assert any("AP" in tag for tag in curves["scalars"])
    assert curves["images"]


def test_what_a_run_said_last_is_there_when_its_pods_are_gone(lab, healthy):
    newest = {name: lab.prometheus.now(f'{name[:-1]},run="ponds"}}') for name in LAST_WORDS}
    assert [name for name, series in newest.items() if len(series) != 1] == []
    (step,) = newest[LAST_WORDS[0]].values()
    assert step == 400


def test_no_alert_fires_while_all_is_well(lab, healthy):
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
