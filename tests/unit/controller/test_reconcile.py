import json

import pytest

from slipway.artifacts.outcome import RunStatus
from slipway.errors import Conflict
from slipway.store.interface import list_keys
from tests.fakes.cluster import BEST, failed_pod
from tests.fakes.plans import small_plan

from services.controller.reconcile import reconcile

JOBS = ["ponds-ingest-1", "ponds-preprocess-1", "ponds-train-1", "ponds-export-1", "ponds-detect-1"]


@pytest.fixture
def look(context):
    return lambda times=1: [reconcile("ponds", context) for _ in range(times)]


@pytest.fixture
def go_on(cluster, store, look):
    """Return a function that runs the controller and the cluster in turn."""

    def run_in_turn(number=20, fails=lambda job: None):
        for _ in range(number):
            look(2)
            cluster.tick(store, fails)

    return run_in_turn


def status(cluster):
    return cluster.objects["ponds"].get("status", {})


def record(store):
    return json.loads(store.read("runs/ponds/record.json"))


def created(cluster):
    return [name for verb, name in cluster.log if verb == "create"]


def fails_with(stage, pod):
    return lambda job: pod if stage in job else None


def test_a_run_is_brought_to_its_end_stage_by_stage(cluster, store, go_on):
    cluster.apply("ponds")
    go_on()
    assert created(cluster) == JOBS
    assert (status(cluster)["state"], status(cluster)["settled"]) == ("SUCCEEDED", 1)
    assert status(cluster)["best"] == {"step": 20, "AP": 0.5, "AP50": 0.8}
    assert status(cluster)["artifacts"] == {
        "dataset": "datasets/ponds/0ff1ce",
        "checkpoint": "runs/ponds/evaluate/best",
        "export": "runs/ponds/export",
        "report": "runs/ponds/report.html",
    }
    assert record(store)["state"] == "SUCCEEDED"


def test_a_run_begins_in_the_store_before_its_first_job(cluster, store, look):
    cluster.apply("ponds")
    look()
    assert created(cluster) == []
    assert json.loads(store.read("runs/ponds/run.json"))["spec"]["dataset"] == {"source": "s3://photos/ponds"}
    assert list(list_keys(store, "index")) == ["index/runs/2026-01-31T12:00:00Z-ponds"]
    look()
    assert created(cluster) == ["ponds-ingest-1"]


def test_nothing_is_written_when_nothing_changed(cluster, look):
    cluster.apply("ponds")
    look(3)
    version = cluster.objects["ponds"]["metadata"]["resourceVersion"]
    look(5)
    assert cluster.objects["ponds"]["metadata"]["resourceVersion"] == version


def test_until_is_the_last_stage(cluster, go_on):
    cluster.apply("ponds", until="preprocess")
    go_on()
    assert (created(cluster), status(cluster)["state"]) == (JOBS[:2], "SUCCEEDED")


def test_later_stages_use_the_image_and_the_blueprints_that_the_run_began_with(cluster, store, context, look):
    cluster.apply("ponds")
    look()
    key = f"blueprints/{status(cluster)['blueprints']}.yaml"
    store.write(key, store.read(key).replace(b"enableServiceLinks: false", b"enableServiceLinks: true"))
    object.__setattr__(context, "settings", context.settings.model_copy(update={"images": None}))
    look()
    pod = cluster.made_jobs["ponds-ingest-1"]["spec"]["template"]["spec"]
    assert (pod["containers"][0]["image"], pod["enableServiceLinks"]) == ("registry/slipway-data:1", True)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        pytest.param({"dataset": {"source": "/ponds"}}, "a cluster sees no folder", id="local-folder"),
        pytest.param({"train": {"gpus": 8}}, "train.gpus is 8, a node of pool 'gpu' has 4", id="too-many-gpus"),
        pytest.param({"train": {"pool": "tpu"}}, "pool 'tpu' does not exist here; choose one of cpu, gpu", id="pool"),
        pytest.param({"train": {"pool": "cpu", "gpus": 1}}, "pool 'cpu' has 0", id="no-gpu-there"),
        pytest.param({"train": {"workers": 2}}, "train.workers is 2, pool 'cpu' allows 1", id="workers"),
        pytest.param({"train": {"steps": 0}}, "train.steps: Input should be greater", id="schema"),
    ],
)
def test_what_cannot_be_had_is_refused_before_any_pod(cluster, go_on, spec, says):
    cluster.apply("ponds", **spec)
    go_on(3)
    assert status(cluster)["state"] == "FAILED"
    assert says in status(cluster)["reason"]
    assert created(cluster) == []


def test_a_name_that_is_taken_by_another_run_is_refused_and_left_alone(cluster, store, go_on):
    cluster.apply("ponds")
    go_on()
    before = record(store)
    del cluster.objects["ponds"]
    cluster.apply("ponds", train={"steps": 7})
    go_on(3)
    assert "run 'ponds' exists with digest" in status(cluster)["reason"]
    assert record(store) == before


def test_the_same_run_under_a_new_object_is_done_at_once(cluster, go_on):
    cluster.apply("ponds")
    go_on()
    del cluster.objects["ponds"]
    cluster.apply("ponds")
    go_on(3)
    assert (status(cluster)["state"], created(cluster)) == ("SUCCEEDED", JOBS)


def test_a_run_waits_for_the_last_pod_of_a_deleted_one_of_its_name(cluster, look, go_on):
    cluster.apply("ponds")
    look(2)
    del cluster.objects["ponds"]
    cluster.apply("ponds")
    look()
    assert status(cluster)["reason"] == "waits for the end of an earlier run of this name: ponds-ingest-1"
    assert status(cluster)["state"] == "PENDING"
    del cluster.made_jobs["ponds-ingest-1"]
    labels = {"slipway.dev/run": "ponds"}
    pod = {"metadata": {"name": "ponds-ingest-1-x", "labels": labels}, "status": {"phase": "Running"}}
    cluster.made_pods["ponds-ingest-1"] = [pod]
    look()
    version = cluster.objects["ponds"]["metadata"]["resourceVersion"]
    look(3)
    assert status(cluster)["reason"] == "waits for the end of an earlier run of this name: ponds-ingest-1-x"
    assert cluster.objects["ponds"]["metadata"]["resourceVersion"] == version
    pod["status"]["phase"] = "Succeeded"
    go_on()
    assert (status(cluster)["state"], created(cluster)) == ("SUCCEEDED", JOBS[:1] + JOBS)
    assert "reason" not in status(cluster)


def test_a_failure_is_recorded_before_its_job_may_expire(cluster, store, go_on):
    cluster.apply("ponds")
    go_on(20, fails_with("preprocess", failed_pod("preprocess", exitCode=65, message="a.jpg is no image\n")))
    assert (status(cluster)["state"], status(cluster)["reason"]) == ("FAILED", "a.jpg is no image")
    assert status(cluster)["stages"]["preprocess"]["reason"] == "a.jpg is no image"
    assert json.loads(store.read("runs/ponds/preprocess/failure.json")) == {
        "attempt": 1,
        "code": 65,
        "reason": "a.jpg is no image",
    }
    assert cluster.made_jobs == {}  # expired
    assert created(cluster) == JOBS[:2]


def test_a_job_may_not_expire_while_its_failure_is_unrecorded(cluster, store, look):
    cluster.apply("ponds")
    look(2)
    cluster.tick(store)
    cluster.tick(store, lambda job: failed_pod("ingest"))
    assert "ttlSecondsAfterFinished" not in cluster.made_jobs["ponds-ingest-1"]["spec"]
    look(1)
    assert "ttlSecondsAfterFinished" not in cluster.made_jobs["ponds-ingest-1"]["spec"]
    look(1)
    assert cluster.made_jobs["ponds-ingest-1"]["spec"]["ttlSecondsAfterFinished"] == 86400


def test_a_retry_starts_at_the_stage_that_failed(cluster, go_on):
    cluster.apply("ponds")
    go_on(20, fails_with("train", failed_pod("trainer", reason="OOMKilled", exitCode=137)))
    assert "trainer on node1 was killed: out of memory" in status(cluster)["reason"]
    cluster.apply("ponds", attempt=2)
    go_on()
    assert created(cluster) == [*JOBS[:3], "ponds-train-2", "ponds-export-2", "ponds-detect-2"]
    assert (status(cluster)["state"], status(cluster)["attempt"], status(cluster)["settled"]) == ("SUCCEEDED", 2, 2)
    assert "reason" not in status(cluster)


def test_a_refused_run_may_be_tried_again(cluster, context, go_on):
    cluster.apply("ponds", train={"pool": "a100"})
    go_on(2)
    context.settings.pools["a100"] = context.settings.pools["cpu"]
    cluster.apply("ponds", attempt=2)
    go_on()
    assert status(cluster)["state"] == "SUCCEEDED"


def test_a_stage_that_wrote_no_result_has_failed(cluster, store, look):
    cluster.apply("ponds")
    look(2)
    cluster.tick(store)
    cluster.tick(store)
    store.delete("runs/ponds/ingest/result.json")
    look()
    assert "wrote no result" in status(cluster)["reason"]


def test_what_killed_a_pod_is_in_the_logs_once(cluster, store, go_on):
    cluster.apply("ponds")
    go_on(9, fails_with("ingest", {"phase": "Failed", "reason": "Evicted", "message": "low on memory"}))
    log = store.read("runs/ponds/logs/ingest/1/controller-0000.log").decode()
    assert log.count("Evicted: low on memory") == 1


def test_a_cancelled_run_ends_when_its_pods_are_gone(cluster, store, look):
    cluster.apply("ponds")
    look(2)
    cluster.tick(store)
    cluster.apply("ponds", cancel=True)
    look(2)
    assert (cluster.log[-1], status(cluster)["state"]) == (("delete", "ponds-ingest-1"), "CANCELING")
    cluster.tick(store)
    look(2)
    assert (status(cluster)["state"], status(cluster)["settled"]) == ("CANCELED", 1)


def test_suspended_and_resumed(cluster, store, look):
    cluster.apply("ponds")
    look(2)
    cluster.apply("ponds", suspend=True)
    look(2)
    assert cluster.log[-1] == ("patch", 'ponds-ingest-1 {"suspend": true}')
    assert status(cluster)["state"] == "SUSPENDED"
    cluster.apply("ponds", suspend=False)
    look(2)
    assert cluster.log[-1] == ("patch", 'ponds-ingest-1 {"suspend": false}')
    assert status(cluster)["state"] == "RUNNING"


def test_a_job_in_a_queue_waits_for_kueue_alone(cluster, store, look):
    cluster.apply("ponds", queue="team-a")
    look(5)
    job = cluster.made_jobs["ponds-ingest-1"]
    assert (job["spec"]["suspend"], job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"]) == (True, "team-a")
    assert status(cluster)["state"] == "QUEUED"
    assert cluster.log == [("create", "ponds-ingest-1")]
    job["spec"]["suspend"] = False  # admitted
    look()
    assert status(cluster)["state"] == "RUNNING"
    job["spec"]["suspend"] = True  # and preempted
    look(3)
    assert (status(cluster)["state"], len(cluster.log)) == ("QUEUED", 1)


def test_a_queued_run_that_is_suspended_leaves_the_queue_and_comes_back(cluster, store, look):
    cluster.apply("ponds", queue="team-a")
    look(2)
    cluster.apply("ponds", suspend=True)
    look(2)
    assert cluster.log[-1] == ("delete", "ponds-ingest-1")
    cluster.tick(store)
    look(2)
    assert (cluster.made_jobs, status(cluster)["state"]) == ({}, "SUSPENDED")
    cluster.apply("ponds", suspend=False)
    look(2)
    assert cluster.log[-1] == ("create", "ponds-ingest-1")


def test_a_quota_that_is_used_up_is_told_and_waited_for(cluster, look):
    cluster.apply("ponds")
    cluster.quota = 0
    look(3)
    assert (status(cluster)["state"], "exceeded quota" in status(cluster)["reason"]) == ("PENDING", True)
    cluster.quota = 1
    look(2)
    assert created(cluster) == ["ponds-ingest-1"]
    assert "reason" not in status(cluster)


def test_a_pod_without_a_node_is_told(cluster, look):
    cluster.apply("ponds")
    look(2)
    waits = {
        "type": "PodScheduled",
        "status": "False",
        "message": "0/3 nodes are available: 3 Insufficient nvidia.com/gpu",
    }
    cluster.made_pods["ponds-ingest-1"] = [
        {"metadata": {"name": "ponds-ingest-1-x"}, "status": {"phase": "Pending", "conditions": [waits]}}
    ]
    look()
    assert status(cluster)["reason"].endswith("0/3 nodes are available: 3 Insufficient nvidia.com/gpu")


def test_progress_and_the_best_so_far_are_told_while_it_trains(cluster, store, look):
    cluster.apply("ponds")
    for stage in ("ingest", "preprocess"):
        store.write(f"runs/ponds/{stage}/result.json", b'{"dataset": "datasets/ponds/0ff1ce"}')
    look(2)
    cluster.tick(store)
    store.write("runs/ponds/train/progress.jsonl", b'{"step": 20, "loss": 2}\n{"step": 40, "loss": 1}\n')
    store.write("runs/ponds/ingest/resolved.yaml", small_plan(steps=400).dump())
    store.write("runs/ponds/evaluate/best.json", json.dumps(BEST | {"metrics": {"AP": 0.41, "AP50": 0.7}}).encode())
    look()
    assert status(cluster)["progress"] == "40/400 steps"
    assert status(cluster)["best"]["AP50"] == 0.7


@pytest.fixture
def train(cluster, store, look):
    """Bring a run to its training of 400 steps, and return how to let it come to a step and be looked at."""
    cluster.apply("ponds")
    for stage in ("ingest", "preprocess"):
        store.write(f"runs/ponds/{stage}/result.json", b'{"dataset": "datasets/ponds/0ff1ce"}')
    look(2)
    cluster.tick(store)
    store.write("runs/ponds/ingest/resolved.yaml", small_plan(steps=400).dump())

    def to(step, ap50):
        best = BEST | {"step": step, "metrics": {"AP": 0.1, "AP50": ap50}}
        store.write("runs/ponds/train/progress.jsonl", json.dumps({"step": step, "loss": 1.0}).encode())
        store.write("runs/ponds/evaluate/best.json", json.dumps(best).encode())
        look()
        return status(cluster)["progress"], status(cluster)["best"]["AP50"]

    return to


def test_progress_is_written_in_strides_of_a_twentieth(train):
    assert train(10, 0.1) == ("10/400 steps", 0.1)
    assert train(29, 0.2) == ("10/400 steps", 0.1)
    assert train(30, 0.3) == ("30/400 steps", 0.3)


def test_a_training_that_goes_on_from_an_earlier_checkpoint_is_told_so(train):
    train(100, 0.5)
    assert train(40, 0.5)[0] == "40/400 steps"


def test_however_often_a_training_reports_its_status_is_written_some_twenty_times(cluster, train):
    train(1, 0.1)
    before = int(cluster.objects["ponds"]["metadata"]["resourceVersion"])
    for step in range(2, 401):
        train(step, step / 1000)
    assert int(cluster.objects["ponds"]["metadata"]["resourceVersion"]) - before == 19


def test_the_last_best_is_told_however_small_the_last_stride(cluster, store, look, train):
    train(390, 0.5)
    store.write(
        "runs/ponds/evaluate/best.json", json.dumps(BEST | {"step": 400, "metrics": {"AP": 0.4, "AP50": 0.6}}).encode()
    )
    store.write("runs/ponds/train/result.json", b"{}")
    look()
    assert status(cluster)["best"]["AP50"] == 0.6


def test_jobs_of_an_earlier_object_of_the_same_name_are_not_mistaken_for_its_own(cluster, store, look):
    cluster.apply("ponds")
    look(2)
    del cluster.objects["ponds"]
    cluster.apply("ponds")
    look(3)
    assert status(cluster)["state"] == "PENDING"  # until the garbage collector has taken the old Job
    del cluster.made_jobs["ponds-ingest-1"]
    look(2)
    assert created(cluster) == ["ponds-ingest-1", "ponds-ingest-1"]


def test_a_run_that_is_gone_or_going_is_left_alone(cluster, context):
    reconcile("ponds", context)
    cluster.apply("ponds")["metadata"]["deletionTimestamp"] = "2026-01-31T12:00:00Z"
    reconcile("ponds", context)
    assert cluster.log == []


def test_conditions_are_what_kubectl_waits_for(cluster, go_on):
    cluster.apply("ponds")
    go_on()
    claims = {claim["type"]: claim["status"] for claim in status(cluster)["conditions"]}
    assert claims == {"Running": "False", "Finished": "True", "Succeeded": "True"}


def test_a_run_whose_pods_all_wait_for_a_node_does_not_run(cluster, look):
    cluster.apply("ponds")
    look(2)
    no_node = {"type": "PodScheduled", "status": "False", "message": "0/1 nodes"}
    waiting = {"metadata": {"name": "a"}, "status": {"phase": "Pending", "conditions": [no_node]}}
    running = {"metadata": {"name": "b"}, "status": {"phase": "Running"}}
    cluster.made_pods["ponds-ingest-1"] = [waiting]
    look()
    assert (status(cluster)["state"], status(cluster)["reason"]) == ("PENDING", "no node for pod a: 0/1 nodes")
    cluster.made_pods["ponds-ingest-1"] = [waiting, running]
    look()
    assert (status(cluster)["state"], status(cluster)["reason"]) == ("RUNNING", "no node for pod a: 0/1 nodes")


def test_nothing_is_begun_for_a_run_that_changed_since_it_was_read(cluster, context, look):
    cluster.apply("ponds")
    look()
    read = cluster.run("ponds")
    cluster.apply("ponds", cancel=True)
    cluster.run = lambda name: read
    with pytest.raises(Conflict, match="has changed since it was read"):
        look()
    assert created(cluster) == []


def test_a_look_says_whether_the_next_has_something_to_do(cluster, store, context):
    cluster.apply("ponds")
    assert [reconcile("ponds", context) for _ in range(3)] == [True, False, False]


def test_a_status_is_never_written_over_a_newer_one(cluster, context):
    cluster.apply("ponds")
    read = cluster.run("ponds")
    cluster.apply("ponds", suspend=True)
    with pytest.raises(Conflict, match="409"):
        context.cluster.write_status(read, RunStatus())
