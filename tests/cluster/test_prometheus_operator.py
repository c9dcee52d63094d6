"""What the Prometheus operator makes of the chart's PodMonitor and PrometheusRule, and a Prometheus of that.

Off unless `SLIPWAY_TEST_CONTEXT` names kubectl's current context; needs helm, `prometheus-operator` and `prometheus` on
PATH, and the operator's custom resources in the cluster. The operator is a process of this machine, and so is the
Prometheus that takes what it has made.
"""

import base64
import gzip
import json
import subprocess
from contextlib import contextmanager

import pytest
import yaml

from tests.cluster.prometheus import prometheus
from tests.cluster.release import CHART, installed
from tests.cluster.scenarios import await_that
from tests.dashboards import ask
from tests.programs import require

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
WATCHER = {
    "apiVersion": "monitoring.coreos.com/v1",
    "kind": "Prometheus",
    "metadata": {"name": "watcher"},
    "spec": {
        "replicas": 0,  # its configuration is wanted, not its pods
        "podMonitorSelector": {"matchLabels": {"release": "prometheus"}},
        "ruleSelector": {"matchLabels": {"release": "prometheus"}},
    },
}
OF_THE_POD = {"POD_NAME": "watcher-0", "SHARD": "0"}  # what the reloader beside Prometheus fills in
OF_EACH = ("slipway_runs", "slipway_http_streams", "slipway_detector_models_loaded")


@pytest.fixture(scope="module")
def release():
    require("prometheus-operator")
    require("prometheus")
    with installed("slipway-operator", "--values", str(CHART / "ci/monitoring-values.yaml")) as made:
        yield made


@contextmanager
def proxied():
    """Reach the API server without certificates, as the operator cannot read a kubeconfig."""
    proxy = subprocess.Popen(["kubectl", "proxy", "--port=0"], stdout=subprocess.PIPE, text=True)
    try:
        yield "http://" + proxy.stdout.readline().split()[-1]
    finally:
        proxy.terminate()
        proxy.communicate()


@pytest.fixture(scope="module")
def made(release, tmp_path_factory):
    """Let the operator make a Prometheus' files; return the configuration and the rules."""
    log = tmp_path_factory.mktemp("operator") / "log"
    with proxied() as address, log.open("w") as file:
        command = ["prometheus-operator", f"--apiserver={address}", f"--namespaces={release.namespace}"]
        command += ["--web.listen-address=127.0.0.1:0", "--kubelet-endpoints=false"]
        operator = subprocess.Popen(command, stdout=file, stderr=file)
        try:
            release.kubectl("apply", "-f", "-", content=json.dumps(WATCHER))
            return await_that(lambda: files(release), 120, f"the operator's files; see {log}")
        finally:
            operator.terminate()
            operator.wait()


def files(release):
    """Return what is configured and the rules, once both are there."""
    secret = release.get("secrets", "--selector", "managed-by=prometheus-operator")["items"]
    packed = [s["data"]["prometheus.yaml.gz"] for s in secret if "prometheus.yaml.gz" in s.get("data", {})]
    maps = release.get("configmaps", "--selector", "prometheus-name=watcher")["items"]
    rules = [yaml.safe_load(text) for found in maps for text in found.get("data", {}).values()]
    text = gzip.decompress(base64.b64decode(packed[0])).decode() if packed else "{}"
    for name, value in OF_THE_POD.items():
        text = text.replace(f"$({name})", value)
    configuration = yaml.safe_load(text)
    return (configuration, rules[0]) if configuration.get("scrape_configs") and rules else None


def test_the_operator_scrapes_every_service_and_takes_every_alert(release, made, tmp_path):
    configuration, rules = made
    with prometheus(tmp_path / "prometheus", release, configuration, rules) as watching:
        await_that(lambda: len(watching.now("up == 1")) == 3, 120, "three pods that answer")
        told = {name: watching.now(name) for name in OF_EACH}
        groups = ask(watching.address, "/api/v1/rules")["groups"]
    for name, series in told.items():
        assert series, name
        assert {dict(labels)["namespace"] for labels in series} == {release.namespace}, name
    alerts = {rule["name"] for group in groups for rule in group["rules"] if rule["type"] == "alerting"}
    assert alerts == {rule["alert"] for group in rules["groups"] for rule in group["rules"] if "alert" in rule}
    assert len(alerts) == 14  # one of the chart's is switched off
