"""The configuration that the Prometheus operator makes of the chart's PodMonitor and PrometheusRule.

Off unless `SLIPWAY_TEST_CONTEXT` names kubectl's current context; needs helm, `prometheus-operator` and `prometheus` on
PATH, and the operator's custom resources in the cluster. The operator is a process of this machine, and so is the
Prometheus that reads its configuration.
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
from tests.cluster.scenarios import await_answer
from tests.dashboards import ask
from tests.programs import require

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
WATCHER = {
    "apiVersion": "monitoring.coreos.com/v1",
    "kind": "Prometheus",
    "metadata": {"name": "watcher"},
    "spec": {
        "replicas": 0,  # the test needs its configuration, not its pods
        "podMonitorSelector": {"matchLabels": {"release": "prometheus"}},
        "ruleSelector": {"matchLabels": {"release": "prometheus"}},
    },
}
POD_VALUES = {"POD_NAME": "watcher-0", "SHARD": "0"}  # filled in by the reloader beside Prometheus
SERVICE_METRICS = ("slipway_runs", "slipway_http_streams", "slipway_detector_models_loaded")


@pytest.fixture(scope="module")
def release():
    require("prometheus-operator")
    require("prometheus")
    with installed("slipway-operator", "--values", str(CHART / "ci/monitoring-values.yaml")) as monitored_release:
        yield monitored_release


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
def prometheus_files(release, tmp_path_factory):
    """Start the operator until it has written the files of a Prometheus; return the configuration and the rules."""
    log = tmp_path_factory.mktemp("operator") / "log"
    with proxied() as address, log.open("w") as file:
        command = ["prometheus-operator", f"--apiserver={address}", f"--namespaces={release.namespace}"]
        command += ["--web.listen-address=127.0.0.1:0", "--kubelet-endpoints=false"]
        operator = subprocess.Popen(command, stdout=file, stderr=file)
        try:
            release.kubectl("apply", "-f", "-", content=json.dumps(WATCHER))
            return await_answer(lambda: files(release), 120, f"the operator's files; see {log}")
        finally:
            operator.terminate()
            operator.wait()


def files(release):
    """Return the configuration and the rules, once both exist."""
    secret = release.get("secrets", "--selector", "managed-by=prometheus-operator")["items"]
    archives = [s["data"]["prometheus.yaml.gz"] for s in secret if "prometheus.yaml.gz" in s.get("data", {})]
    maps = release.get("configmaps", "--selector", "prometheus-name=watcher")["items"]
    rules = [yaml.safe_load(text) for config_map in maps for text in config_map.get("data", {}).values()]
    text = gzip.decompress(base64.b64decode(archives[0])).decode() if archives else "{}"
    for name, value in POD_VALUES.items():
        text = text.replace(f"$({name})", value)
    configuration = yaml.safe_load(text)
    return (configuration, rules[0]) if configuration.get("scrape_configs") and rules else None


def test_the_operator_scrapes_every_service_and_takes_every_alert(release, prometheus_files, tmp_path):
    configuration, rules = prometheus_files
    with prometheus(tmp_path / "prometheus", release, configuration, rules) as server:
        await_answer(lambda: len(server.now("up == 1")) == 3, 120, "three pods that answer")
        samples = {name: server.now(name) for name in SERVICE_METRICS}
        groups = ask(server.address, "/api/v1/rules")["groups"]
    for name, series in samples.items():
        assert series, name
        assert {dict(labels)["namespace"] for labels in series} == {release.namespace}, name
    alerts = {rule["name"] for group in groups for rule in group["rules"] if rule["type"] == "alerting"}
    assert alerts == {rule["alert"] for group in rules["groups"] for rule in group["rules"] if "alert" in rule}
    assert len(alerts) == 14  # one of the chart's is switched off
