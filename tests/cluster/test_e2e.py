"""Whole runs on a real cluster: `make e2e`. It installs the dev overlay; `make images` comes first.

Off unless `SLIPWAY_TEST_CONTEXT` names kubectl's current context. bccd is taken from the folder that `BCCD` names.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from slipway import keys
from slipway.artifacts.checkpoints import Checkpoints
from slipway.store.interface import list_keys, upload_all
from tests.cluster import installation as at
from tests.fakes.harbour import draw

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
QUEUE = "slipway-e2e"
SHORT = {
    "train": {"steps": 1000, "checkpointEvery": 100, "imageSize": 128, "batchSize": 4},  # long enough to be observed
    "export": {"tflite": False},
    "detect": {"maxImages": 4},
}


@pytest.fixture(scope="module", autouse=True)
def installed():
    context = os.environ.get("SLIPWAY_TEST_CONTEXT")
    if not context or at.kubectl("config", "current-context", check=False).strip() != context:
        pytest.skip("SLIPWAY_TEST_CONTEXT does not name kubectl's current context")
    at.install(os.environ.get("REGISTRY", "localhost"), os.environ.get("TAG", "dev"))


@pytest.fixture(scope="module")
def harbour(tmp_path_factory):
    """A drawn dataset, as a local folder and under `uploads/harbour` in the store."""
    folder = tmp_path_factory.mktemp("data") / "harbour"
    draw(folder, 60, 5)
    push(folder, "harbour")
    return folder


@pytest.fixture
def run(request):
    """Submit a run named after the test; it is deleted afterwards."""
    name = request.node.name.removeprefix("test_").replace("_", "-")[:40].strip("-")
    at.kubectl("delete", "trun", name, "--ignore-not-found")
    with at.store() as store:
        drop(store, name)

    def submit(dataset="harbour", **spec):
        at.apply_run(name, {"dataset": {"source": f"{at.UPLOADS}/{dataset}"}} | SHORT | spec)
        return name

    yield submit
    at.kubectl("delete", "trun", name, "--ignore-not-found")


@pytest.fixture
def cluster_queue():
    """Create a Kueue queue with enough quota for one run; return a function that changes its specification."""
    if not at.get("crd", "clusterqueues.kueue.x-k8s.io"):
        pytest.skip("Kueue is not installed in the cluster")
    quotas = [{"name": name, "nominalQuota": quota} for name, quota in (("cpu", "8"), ("memory", "16Gi"))]
    flavors = [{"name": QUEUE, "resources": quotas}]
    group = {"coveredResources": ["cpu", "memory"], "flavors": flavors}
    specs = {
        "ResourceFlavor": {},
        "ClusterQueue": {"namespaceSelector": {}, "resourceGroups": [group]},
        "LocalQueue": {"clusterQueue": QUEUE},
    }
    manifests = [
        {"apiVersion": "kueue.x-k8s.io/v1beta1", "kind": kind, "metadata": {"name": QUEUE}, "spec": spec}
        for kind, spec in specs.items()
    ]
    at.kubectl("apply", "--filename", "-", content=yaml.safe_dump_all(manifests))

    def change(**spec):
        at.kubectl("patch", "clusterqueue", QUEUE, "--type", "merge", "--patch", json.dumps({"spec": spec}))

    yield change
    change(stopPolicy="None")
    for kind in ("localqueue", "clusterqueue", "resourceflavor"):
        at.kubectl("delete", kind, QUEUE, "--wait=false")


def drop(store, name):
    for key in list(list_keys(store, keys.run_folder(name))):
        store.delete(key)


def push(folder, name):
    with at.store(at.UPLOADS) as store:
        upload_all(store, folder, name)


def await_printed(name, *columns, timeout_sec=240):
    """Return the lines that `kubectl get trun` printed until one of them had all of the columns."""
    lines, deadline = set(), time.monotonic() + timeout_sec
    while time.monotonic() < deadline:
        lines.add(line := at.kubectl("get", "trun", name, "--no-headers").strip())
        if all(column in line for column in columns):
            return lines
        at.await_state(name, "PENDING", "QUEUED", "RUNNING", timeout_sec=30)
        time.sleep(0.3)
    raise AssertionError(f"{columns} were never shown together: {sorted(lines)}")


def live_pods(name, stage):
    """Return the uids of the stage's pods that have not ended."""
    pods = at.pods(name, stage)
    return frozenset(p["metadata"]["uid"] for p in pods if p["status"].get("phase") in ("Pending", "Running"))


def resumed_steps(name):
    """Return the steps of the checkpoints from which trainers of the run continued."""
    with at.store() as store:
        logs = b"".join(store.read(key) for key in list_keys(store, f"{keys.logs(name)}/train")).decode()
    events = [json.loads(line) for line in logs.splitlines() if line.startswith("{")]
    return [e["step"] for e in events if e.get("event") == "training_resumed"]


def test_drawn_dataset_becomes_a_detector(run, harbour):
    name = run()
    lines = await_printed(name, "train", "RUNNING", "/1000", "0.")
    assert any(" ingest " in line for line in lines)
    status = at.await_state(name, timeout_sec=600)
    assert (status["state"], status.get("reason")) == ("SUCCEEDED", None)
    assert {s: status["stages"][s]["phase"] for s in status["stages"]} == dict.fromkeys(
        ("ingest", "preprocess", "train", "export", "detect"), "done"
    )
    preprocess = at.pods(name, "preprocess")
    assert {pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"] for pod in preprocess} == {
        "0",
        "1",
    }
    namespace = at.get("namespace", at.NAMESPACE)
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for stage in status["stages"]:
        for pod in at.pods(name, stage):
            mounts = [m["mountPath"] for c in pod["spec"]["containers"] for m in c["volumeMounts"]]
            assert not any("serviceaccount" in mount for mount in mounts)
    with at.store() as store:
        for key in (
            keys.report(name),
            keys.detections(name),
            keys.curves(name),
            keys.export_manifest(name),
            f"{keys.saved_model(name)}/saved_model.pb",
        ):
            assert store.stat(key).size, key
        assert json.loads(store.read(keys.record(name)))["state"] == "SUCCEEDED"
        stages = {key.split("/")[3] for key in list_keys(store, keys.logs(name))}
        assert stages >= {"ingest", "preprocess", "train", "evaluate", "export", "detect"}


@pytest.mark.skipif(not os.environ.get("BCCD"), reason="BCCD does not name the folder of the bccd dataset")
def test_bccd_becomes_a_detector_that_finds_cells(run):
    push(Path(os.environ["BCCD"]), "bccd")
    name = run("bccd", train={}, export={}, detect={}, ingest={"testRatio": 0.2})
    status = at.await_state(name, timeout_sec=3000)
    assert (status["state"], status.get("reason")) == ("SUCCEEDED", None)
    assert status["best"]["AP50"] >= 0.83


def test_cancel_ends_all_pods_within_the_grace_period(run, harbour):
    name = run()
    await_printed(name, "train", "/1000")
    at.change(name, cancel=True)
    assert at.await_gone("pods", f"slipway.dev/run={name},slipway.dev/stage=train", 75) < 60
    assert at.await_state(name, timeout_sec=30)["state"] == "CANCELED"


def test_deleted_run_takes_its_jobs_and_leaves_artifacts(run, harbour):
    name = run(until="preprocess")
    assert at.await_state(name, timeout_sec=120)["state"] == "SUCCEEDED"
    at.kubectl("delete", "trun", name)
    at.await_gone("jobs", f"slipway.dev/run={name}", 60)
    with at.store() as store:
        assert store.stat(keys.result(name, "preprocess"))


def test_run_made_again_at_once_waits_for_the_pods_of_the_deleted_one(run, harbour):
    name = run(until="train")
    await_printed(name, "train", "/1000")
    at.kubectl("delete", "trun", name)
    run(until="train")
    at.await_reason(name, "waits for the end of an earlier run of this name: ", timeout_sec=10)
    pod_sets, deadline = set(), time.monotonic() + 300
    while at.status(name).get("state") != "SUCCEEDED":
        assert time.monotonic() < deadline
        pod_sets.add(live_pods(name, "train"))
    assert sorted(map(len, pod_sets)) == [0, 1, 1]  # one, none, another: never two
    assert len(resumed_steps(name)) == 1


def test_suspended_run_holds_no_pod_and_loses_no_step(run, harbour):
    name = run(until="train")
    await_printed(name, "train", "/1000")
    at.change(name, suspend=True)
    at.await_gone("pods", f"slipway.dev/run={name},slipway.dev/stage=train", 75)
    assert at.await_state(name, "SUSPENDED", timeout_sec=30)["state"] == "SUSPENDED"
    with at.store() as store:
        checkpoint = Checkpoints(store, keys.stage(name, "train")).steps()[-1]
    at.change(name, suspend=False)
    assert at.await_state(name, timeout_sec=300)["state"] == "SUCCEEDED"
    assert resumed_steps(name) == [checkpoint]


def test_run_in_a_queue_waits_for_kueue_and_gives_way_to_it(run, harbour, cluster_queue):
    cluster_queue(stopPolicy="Hold")
    name = run(until="train", queue=QUEUE)
    at.await_state(name, "QUEUED", timeout_sec=60)
    time.sleep(10)
    assert (at.status(name)["state"], at.pods(name, "ingest")) == ("QUEUED", [])
    cluster_queue(stopPolicy="None")
    await_printed(name, "train", "RUNNING", "/1000")
    cluster_queue(stopPolicy="HoldAndDrain")
    at.await_state(name, "QUEUED", timeout_sec=75)
    at.await_gone("pods", f"slipway.dev/run={name},slipway.dev/stage=train", 75)
    with at.store() as store:
        checkpoint = Checkpoints(store, keys.stage(name, "train")).steps()[-1]
    cluster_queue(stopPolicy="None")
    assert at.await_state(name, timeout_sec=300)["state"] == "SUCCEEDED"
    assert resumed_steps(name) == [checkpoint]


def test_bad_data_fails_at_once_in_the_words_of_the_command_line(run, harbour, tmp_path):
    folder = tmp_path / "bad"
    draw(folder, 4, 1)
    file = min((folder / "annotations").iterdir())
    file.write_text(file.read_text().replace("<xmin>", "<xmin>9", 1))
    push(folder, "bad")
    name = run("bad")
    status = at.await_state(name, timeout_sec=120)
    command = [sys.executable, "-m", "services.cli", "run", str(folder), "--out", str(tmp_path / "out")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 65
    assert status["state"] == "FAILED"
    assert len(at.pods(name, "ingest")) == 1
    assert " ".join(status["reason"].split()) in " ".join((result.stdout + result.stderr).split())


def test_pod_out_of_memory_says_so(run, harbour):
    name = run(train=SHORT["train"] | {"pool": "tiny"})
    status = at.await_state(name, timeout_sec=300)
    assert status["state"] == "FAILED"
    assert "was killed: out of memory; give its pool more" in status["reason"]
