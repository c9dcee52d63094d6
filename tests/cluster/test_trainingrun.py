"""Validation of the custom resource and the manifests by a real API server.

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
    result = subprocess.run(["kubectl", *arguments], input=content, capture_output=True, text=True, check=False)
    assert (result.returncode != 0) == fails, result.stderr
    return result.stderr if fails else result.stdout


@pytest.fixture(scope="module")
def namespace():
    require("kubectl")
    context = os.environ.get("SLIPWAY_TEST_CONTEXT")
    if not context or kubectl("config", "current-context").strip() != context:
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
    """Create a run, and return a function that patches it."""
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
def test_these_fields_of_a_run_can_change(run, change):
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
def test_these_fields_of_a_run_cannot_change(run, change):
    (name,) = change
    assert f"{name} cannot change: only suspend, cancel, attempt can" in run(fails=True, **change)


def test_the_attempt_cannot_decrease(run):
    run(attempt=3)
    assert "attempt may only rise" in run(fails=True, attempt=2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(manifest("p" * 53), "at most 52 characters", id="long-name"),
        pytest.param(manifest("a.b"), "no dots", id="dot"),
        pytest.param(manifest("a", {"name": "ponds"}), "give either source or ref", id="no-origin"),
    ],
)
def test_an_invalid_run_is_refused(namespace, content, message):
    assert message in kubectl("create", "-n", namespace, "-f", "-", content=content, fails=True)


def test_the_jobs_to_run_by_hand_are_valid(namespace):
    kubectl("apply", "-n", namespace, "--dry-run=server", "--validate=strict", "-f", str(ROOT / "jobs/jobs.yaml"))


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_object_of_a_variant_is_valid(namespace, variant):
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
