"""The official client against a server that speaks as Kubernetes does."""

import threading

import pytest

from slipway.errors import AlreadyExists, ClusterRefused, ClusterUnavailable, Conflict
from slipway.kube.client import KubernetesClient
from tests.fakes.kubernetes_server import KubernetesServer
from tests.unit.api.conftest import SPEC

from services.api.kube.runs import KubernetesRuns

PONDS = {"apiVersion": "slipway.dev/v1alpha1", "kind": "TrainingRun", "metadata": {"name": "ponds"}, "spec": SPEC}


@pytest.fixture
def server(cluster):
    with KubernetesServer(cluster) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def runs(server):
    from kubernetes import client

    configuration = client.Configuration()
    configuration.host = server.url
    configuration.retries = False
    found = KubernetesRuns(KubernetesClient("lab", configuration))
    yield found
    found.client.api_client.rest_client.pool_manager.clear()


def test_a_run_is_made_read_listed_and_deleted(runs, cluster):
    made = runs.create(PONDS)
    assert made["metadata"]["resourceVersion"] == "1"
    assert runs.get("ponds") == made == cluster.get("ponds")
    assert runs.list() == [made]
    runs.delete("ponds")
    runs.delete("ponds")
    assert runs.get("ponds") is None
    assert runs.list() == []


def test_fields_of_the_cluster_that_are_nobodys_business_are_left_out(runs, cluster):
    cluster.create(PONDS)
    cluster.objects["ponds"]["metadata"]["managedFields"] = [{"manager": "kubectl"}]
    assert "managedFields" not in runs.get("ponds")["metadata"]
    assert "managedFields" not in runs.list()[0]["metadata"]


def test_a_name_that_is_there_cannot_be_made_again(runs):
    runs.create(PONDS)
    with pytest.raises(AlreadyExists, match="TrainingRun ponds exists already"):
        runs.create(PONDS)


def test_a_patch_is_merged_into_the_version_that_was_read(runs, server):
    made = runs.create(PONDS)
    patched = runs.patch("ponds", {"suspend": True}, made["metadata"]["resourceVersion"])
    assert patched["spec"] == SPEC | {"suspend": True}
    body = {"metadata": {"resourceVersion": "1"}, "spec": {"suspend": True}}
    assert server.requests[-1] == ("PATCH", "application/merge-patch+json", body)
    with pytest.raises(Conflict, match="409 patch TrainingRun ponds"):
        runs.patch("ponds", {"cancel": True}, made["metadata"]["resourceVersion"])
    assert runs.patch("lakes", {"cancel": True}, "1") is None


@pytest.mark.parametrize(
    ("status", "kind"),
    [(403, ClusterRefused), (422, ClusterRefused), (401, ClusterUnavailable), (500, ClusterUnavailable)],
)
def test_a_refusal_says_what_was_asked_and_why_not(runs, server, status, kind):
    server.refusal = status, "exceeded quota: runs"
    with pytest.raises(kind, match=f"create TrainingRun ponds: {status} exceeded quota: runs"):
        runs.create(PONDS)


def test_no_answer_is_told_from_a_refusal(runs, server):
    server.shutdown()
    server.server_close()
    with pytest.raises(ClusterUnavailable, match="read TrainingRun ponds: the API server does not answer"):
        runs.get("ponds")


def test_a_watch_tells_of_every_change_since(runs, cluster):
    cluster.create(PONDS)
    version, _ = runs.snapshot()
    cluster.report("ponds", state="RUNNING")
    cluster.delete("ponds")
    cluster.hang_up()
    changes = runs.changes(version)
    assert [(change["type"], change["object"]["metadata"]["name"]) for change in (next(changes), next(changes))] == [
        ("MODIFIED", "ponds"),
        ("DELETED", "ponds"),
    ]
    with pytest.raises(ClusterUnavailable, match="watch TrainingRuns"):
        next(changes)
