"""The API server's own word on the custom resource and the manifests.

Off unless `SLIPWAY_TEST_CONTEXT` names kubectl's current context: the tests write to that cluster.
"""

import json
import os
import subprocess
import uuid
from pathlib import Path

import pytest

from tests.contract.charts import VARIANTS, render
from tests.programs import require

ROOT = Path(__file__).parents[2] / "manifests"
pytestmark = pytest.mark.cluster


def kubectl(*arguments, content=None, fails=False):
    done = subprocess.run(["kubectl", *arguments], input=content, capture_output=True, text=True, check=False)
    assert (done.returncode != 0) == fails, done.stderr
    return done.stderr if fails else done.stdout


@pytest.fixture(scope="module")
def namespace():
    require("kubectl")
    wanted = os.environ.get("SLIPWAY_TEST_CONTEXT")
    if not wanted or kubectl("config", "current-context").strip() != wanted:
        pytest.skip("SLIPWAY_TEST_CONTEXT does not name kubectl's current context")
    kubectl("apply", "-f", str(ROOT / "base/crd.yaml"))
    kubectl("wait", "--for=condition=established", "crd/trainingruns.slipway.dev")
    name = f"slipway-test-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def run(namespace):
    """Create a run and return how to patch it."""
    name = f"ponds-{uuid.uuid4().hex[:8]}"
    kubectl("create", "-n", namespace, "-f", "-", content=manifest(name))

    def patch(fails=False, **spec):
        change = json.dumps({"spec": spec})
        return kubectl("patch", "-n", namespace, "trun", name, "--type=merge", "-p", change, fails=fails)

    return patch


def manifest(name, dataset=None):
    return json.dumps(
        {
            "apiVersion": "slipway.dev/v1alpha1",
            "kind": "TrainingRun",
            "metadata": {"name": name},
            "spec": {"dataset": dataset or {"source": "s3://photos/ponds"}},
        }
    )


@pytest.mark.parametrize(
    "change", [{"suspend": True}, {"cancel": True}, {"attempt": 2}], ids=["suspend", "cancel", "attempt"]
)
def test_of_a_run_this_may_change(run, change):
    assert "patched" in run(**change)


@pytest.mark.parametrize(
    "change",
    [
        {"dataset": {"source": "s3://photos/lakes"}},
        {"ingest": {"seed": 1}},
        {"train": {"steps": 7}},
        {"until": "train"},
        {"queue": "team-a"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_of_a_run_this_may_not_change(run, change):
    (name,) = change
    assert f"{name} cannot change: only suspend, cancel, attempt can" in run(fails=True, **change)


def test_an_attempt_may_only_rise(run):
    run(attempt=3)
    assert "attempt may only rise" in run(fails=True, attempt=2)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(manifest("p" * 53), "at most 52 characters", id="long-name"),
        pytest.param(manifest("a.b"), "no dots", id="dot"),
        pytest.param(manifest("a", {"name": "ponds"}), "give either source or ref", id="no-origin"),
    ],
)
def test_this_is_no_run(namespace, content, says):
    assert says in kubectl("create", "-n", namespace, "-f", "-", content=content, fails=True)


def test_the_server_takes_the_jobs_by_hand_as_they_are(namespace):
    kubectl("apply", "-n", namespace, "--dry-run=server", "--validate=strict", "-f", str(ROOT / "jobs/jobs.yaml"))


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_server_takes_every_object_of_a_variant_as_it_is(namespace, variant):
    served = set(kubectl("api-resources", "--output", "name").split())
    others = {
        "HTTPRoute": "httproutes.gateway.networking.k8s.io",
        "PodMonitor": "podmonitors.monitoring.coreos.com",
        "PrometheusRule": "prometheusrules.monitoring.coreos.com",
    }
    for manifest in render(variant, "--namespace", namespace):
        if others.get(manifest["kind"]) in served | {None}:
            kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", content=json.dumps(manifest))


@pytest.mark.parametrize("overlay", ["dev", "gpu"])
def test_an_installation_can_be_rendered(namespace, overlay):
    assert "kind: Deployment" in kubectl("kustomize", str(ROOT / "overlays" / overlay))
