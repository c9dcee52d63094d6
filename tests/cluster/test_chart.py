"""The chart and HTTP on a real cluster: install, push, submit, follow, upgrade, fetch, detect, uninstall.

Off unless `SLIPWAY_TEST_CONTEXT` names kubectl's current context and helm is there. The dataset is drawn, or the folder
that `RACCOON` names. Everything is asked for with a submitter's token.
"""

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.harbour import draw

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
CHART = Path(__file__).parents[2] / "charts/slipway"
NAMESPACE = "slipway-chart"
TOKEN = "a-submitter-s-of-this-test-alone"


def call(*words, content=None, env=None):
    done = subprocess.run(
        words, input=content, capture_output=True, text=True, check=False, env=os.environ | (env or {})
    )
    assert done.returncode == 0, f"{' '.join(words)}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


def kubectl(*words, content=None):
    return call("kubectl", "--namespace", NAMESPACE, *words, content=content)


def helm(verb, *words):
    return call("helm", "--namespace", NAMESPACE, verb, "slipway", *words)


def chart_with_values():
    """The chart, the quick-start values, the images that are asked for; no CRD where there is one."""
    words = [str(CHART), "--values", str(CHART / "ci/quickstart-values.yaml")]
    for name, variable, default in (("registry", "REGISTRY", "localhost"), ("tag", "TAG", "dev")):
        words += ["--set", f"images.{name}={os.environ.get(variable, default)}"]
    is_there = call("kubectl", "get", "crd", "trainingruns.slipway.dev", "--ignore-not-found", "--output", "name")
    return words + (["--set", "crds.install=false"] if is_there else [])


@pytest.fixture(scope="module")
def installed():
    """Install with the quick-start values in a namespace of its own, with a submitter's token; gone afterwards."""
    wanted = os.environ.get("SLIPWAY_TEST_CONTEXT")
    if not (wanted and shutil.which("helm") and call("kubectl", "config", "current-context").strip() == wanted):
        pytest.skip("SLIPWAY_TEST_CONTEXT does not name kubectl's current context, or helm is not installed")
    call("kubectl", "create", "namespace", NAMESPACE)
    call("kubectl", "label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
    users = [{"name": "ann", "role": "submitter", "sha256": hashlib.sha256(TOKEN.encode()).hexdigest()}]
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "slipway-tokens"}}
    kubectl("apply", "-f", "-", content=json.dumps(secret | {"stringData": {"tokens.yaml": yaml.safe_dump(users)}}))
    chart = chart_with_values()
    helm("install", *chart, "--wait", "--timeout", "5m")
    yield chart
    call("kubectl", "delete", "namespace", NAMESPACE, "--wait=false")


@contextmanager
def forwarded(service, port):
    """Reach a service at an address of its own, through pods that come and go."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        here = probe.getsockname()[1]
    command = f"while true; do kubectl -n {NAMESPACE} port-forward service/{service} {here}:{port}; sleep 0.5; done"
    forward = subprocess.Popen(["sh", "-c", command], stdout=-3, stderr=-3, start_new_session=True)
    try:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", here), 1).close()
                break
            except OSError:
                time.sleep(0.2)
        yield f"http://127.0.0.1:{here}"
    finally:
        os.killpg(forward.pid, 15)
        forward.wait()


@pytest.fixture
def slipway(installed, tmp_path):
    """The command, logged in over HTTP as a submitter."""
    with forwarded("slipway-api", 8000) as url:

        def command(*words, content=None):
            home = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
            return call(sys.executable, "-m", "slipway.cli.main", *words, content=content, env=home)

        command("login", url, "--token-stdin", "--insecure-http", content=TOKEN)
        yield command


@pytest.fixture
def dataset(tmp_path):
    if given := os.environ.get("RACCOON"):
        return Path(given)
    draw(tmp_path / "harbour", 60, 5)
    return tmp_path / "harbour"


def stage_of(name):
    return json.loads(kubectl("get", "trun", name, "-o", "json")).get("status", {}).get("stage")


def test_a_submitter_gets_a_detector_over_http_and_an_upgrade_does_not_disturb_it(
    installed, slipway, dataset, tmp_path
):
    helm("test", "--timeout", "3m")
    pushed = json.loads(slipway("dataset", "push", str(dataset), "--json").splitlines()[-1])
    train = {} if os.environ.get("RACCOON") else {"train": {"steps": 200, "imageSize": 128, "batchSize": 4}}
    run = {"apiVersion": "slipway.dev/v1alpha1", "kind": "TrainingRun", "metadata": {"name": "over-http"}}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(run | {"spec": {"dataset": {"ref": pushed["dataset"]}} | train}))
    slipway("submit", str(tmp_path / "run.yaml"))
    while stage_of("over-http") != "train":
        time.sleep(1)
    pods = kubectl("get", "pods", "-l", "slipway.dev/run=over-http,slipway.dev/stage=train", "-o", "name")
    helm("upgrade", *installed, "--set", "api.replicas=2,settings.keepJobs=1800", "--wait", "--timeout", "5m")
    slipway("status", "over-http", "--watch")
    ended = json.loads(slipway("status", "over-http", "--json"))["status"]
    assert ended["state"] == "SUCCEEDED"
    assert kubectl("get", "pods", "-l", "slipway.dev/run=over-http,slipway.dev/stage=train", "-o", "name") == pods
    out = tmp_path / "out"
    slipway("artifacts", "over-http", "--out", str(out))
    assert list(out.rglob("saved_model.pb"))
    assert list(out.rglob("report.html"))
    image = next(path for path in sorted(dataset.rglob("*")) if path.suffix in (".jpg", ".jpeg", ".png"))
    with forwarded("slipway-detector", 8000) as url:
        headers = {
            "Authorization": f"Bearer {TOKEN}",
            "Content-Type": f"image/{image.suffix[1:].replace('jpg', 'jpeg')}",
        }
        address = f"{url}/v1/models/over-http:predict?scoreThreshold=0.01"
        with urllib.request.urlopen(
            urllib.request.Request(address, image.read_bytes(), headers), timeout=180
        ) as answer:
            found = json.load(answer)
        picture = urllib.request.Request(address, image.read_bytes(), headers | {"Accept": "image/png"})
        with urllib.request.urlopen(picture, timeout=60) as answer:
            assert answer.read(4) == b"\x89PNG"
    assert found["detections"]


def test_uninstall_leaves_the_volume_the_secrets_and_the_runs(installed):
    helm("uninstall", "--wait")
    kinds = "deployments,statefulsets,daemonsets,cronjobs,services,ingresses,networkpolicies,pvc,secrets,configmaps,"
    kinds += "serviceaccounts,roles,rolebindings,poddisruptionbudgets"
    left = set(kubectl("get", kinds, "-o", "name").split()) - {"configmap/kube-root-ca.crt", "serviceaccount/default"}
    assert left == {"persistentvolumeclaim/slipway-s3", "secret/slipway-s3", "secret/slipway-tokens"}
    assert "over-http" in kubectl("get", "trun", "-o", "name")
