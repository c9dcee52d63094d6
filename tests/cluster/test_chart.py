"""The chart and HTTP on a real cluster: install, push, submit, follow, upgrade, fetch, detect, uninstall.

Off unless `SLIPWAY_TEST_CONTEXT` names kubectl's current context and helm is there. The dataset is drawn, or the folder
that `RACCOON` names. Every request has a submitter's token.
"""

import json
import os
import time
import urllib.request
from pathlib import Path

import pytest

from tests.cluster.release import TOKEN, installed, logged_in
from tests.fakes.harbour import draw

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


@pytest.fixture(scope="module")
def release():
    with installed("slipway-chart") as chart_release:
        yield chart_release


@pytest.fixture
def slipway(release, tmp_path):
    with logged_in(release, tmp_path) as client:
        yield client


@pytest.fixture
def dataset(tmp_path):
    if folder := os.environ.get("RACCOON"):
        return Path(folder)
    draw(tmp_path / "harbour", 60, 5)
    return tmp_path / "harbour"


def trainers(release, run):
    return release.kubectl("get", "pods", "-l", f"slipway.dev/run={run},slipway.dev/stage=train", "-o", "name")


def test_a_submitter_gets_a_detector_over_http_and_an_upgrade_does_not_disturb_it(release, slipway, dataset, tmp_path):
    release.helm("test", "--timeout", "3m")
    train = {} if os.environ.get("RACCOON") else {"train": {"steps": 200, "imageSize": 128, "batchSize": 4}}
    slipway.submit("over-http", slipway.push(dataset), **train)
    while release.get("trun", "over-http").get("status", {}).get("stage") != "train":
        time.sleep(1)
    pods = trainers(release, "over-http")
    release.helm(
        "upgrade", *release.words, "--set", "api.replicas=2,settings.keepJobs=1800", "--wait", "--timeout", "5m"
    )
    slipway("status", "over-http", "--watch")
    assert slipway.status("over-http")["state"] == "SUCCEEDED"
    assert trainers(release, "over-http") == pods
    out = tmp_path / "out"
    slipway("artifacts", "over-http", "--out", str(out))
    assert list(out.rglob("saved_model.pb"))
    assert list(out.rglob("report.html"))
    image = next(path for path in sorted(dataset.rglob("*")) if path.suffix in (".jpg", ".jpeg", ".png"))
    with release.forwarded("detector", 8000) as url:
        headers = {
            "Authorization": f"Bearer {TOKEN}",
            "Content-Type": f"image/{image.suffix[1:].replace('jpg', 'jpeg')}",
        }
        address = f"{url}/v1/models/over-http:predict?scoreThreshold=0.01"
        with urllib.request.urlopen(
            urllib.request.Request(address, image.read_bytes(), headers), timeout=180
        ) as answer:
            answer_json = json.load(answer)
        picture = urllib.request.Request(address, image.read_bytes(), headers | {"Accept": "image/png"})
        with urllib.request.urlopen(picture, timeout=60) as answer:
            assert answer.read(4) == b"\x89PNG"
    assert answer_json["detections"]


def test_retention_removes_what_is_too_old_and_nothing_else(release, slipway):
    limits = "runs=never,datasets=never,records=never,uploads=0m"
    values = ["retention.enabled=true", *(f"retention.limits.{limit}" for limit in limits.split(","))]
    release.helm("upgrade", *release.words, "--set", ",".join(values), "--wait", "--timeout", "5m")
    artifacts = slipway("artifacts", "over-http")
    release.kubectl("create", "job", "sweep", "--from=cronjob/slipway-retention")
    release.kubectl("wait", "job/sweep", "--for=condition=Complete", "--timeout=120s")
    removal = json.loads(release.kubectl("logs", "job/sweep").splitlines()[-1])
    assert (removal["code"], removal["counts"]) == (0, {"upload": 1})
    assert slipway("artifacts", "over-http") == artifacts


def test_uninstall_leaves_the_volume_the_secrets_and_the_runs(release):
    release.helm("uninstall", "--wait")
    kinds = "deployments,statefulsets,daemonsets,cronjobs,services,ingresses,networkpolicies,pvc,secrets,configmaps,"
    kinds += "serviceaccounts,roles,rolebindings,poddisruptionbudgets"
    objects = set(release.kubectl("get", kinds, "-o", "name").split())
    release_objects = objects - {"configmap/kube-root-ca.crt", "serviceaccount/default"}
    assert release_objects == {"persistentvolumeclaim/slipway-s3", "secret/slipway-s3", "secret/slipway-tokens"}
    assert "over-http" in release.kubectl("get", "trun", "-o", "name")
