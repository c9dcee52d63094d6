"""One key, one run: whatever is sent again, and however many send it at once."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from slipway.http.problems import Problem
from slipway.http.tokens import Role, User
from slipway.store.folder import FolderStore
from tests.fakes.runs import FakeRuns
from tests.unit.api.conftest import SPEC, bearer

from services.api.runs.submit import RunRequest, prepare, submit

CRANE, TERN = User("crane", Role.SUBMITTER), User("tern", Role.SUBMITTER)


def post(client, spec=SPEC, key="build-42", **fields):
    headers = {"Idempotency-Key": key} | fields.pop("headers", {})
    return client.post("/v1/runs", json={"spec": spec} | fields, headers=headers)


def test_the_same_key_and_body_make_one_run(client, cluster):
    first, second = post(client), post(client)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    assert second.headers["location"] == first.headers["location"]
    assert list(cluster.objects) == [first.json()["metadata"]["name"]]


def test_a_body_that_is_written_otherwise_is_the_same(client):
    post(client)
    assert post(client, {"until": "detect", "dataset": {"source": "s3://photos/ponds"}}).status_code == 200


def test_the_same_key_with_another_body_is_refused(client, cluster):
    post(client)
    answer = post(client, SPEC | {"until": "ingest"})
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:slipway:problem:key-reused"
    assert len(cluster.objects) == 1


def test_another_user_may_have_the_same_key(client, cluster):
    post(client)
    assert post(client, headers=bearer("admin")).status_code == 201
    assert len(cluster.objects) == 2


def test_the_same_key_finds_a_run_that_has_gone_on_since(client, cluster):
    name = post(client).json()["metadata"]["name"]
    client.post(f"/v1/runs/{name}:suspend")
    cluster.report(name, state="SUSPENDED")
    second = post(client)
    assert second.status_code == 200
    assert second.json()["status"]["state"] == "SUSPENDED"


def test_a_key_may_come_with_a_name(client, cluster):
    codes = [post(client, metadata={"name": "ponds"}).status_code for _ in range(2)]
    assert codes == [201, 200]
    assert list(cluster.objects) == ["ponds"]


def test_a_key_that_came_with_another_name_is_refused(client, cluster):
    post(client, metadata={"name": "ponds"})
    answer = post(client, metadata={"name": "lakes"})
    assert answer.status_code == 422
    assert "another name before, ponds" in answer.json()["detail"]
    assert list(cluster.objects) == ["ponds"]


def test_a_name_that_another_key_made_is_taken(client):
    post(client, metadata={"name": "ponds"})
    assert post(client, key="build-43", metadata={"name": "ponds"}).status_code == 409


def test_a_key_that_is_no_key_is_refused(client):
    answer = post(client, key="a b")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["parameter"] == "Idempotency-Key"


def test_a_run_that_is_being_deleted_is_not_the_answer(client, cluster):
    name = post(client).json()["metadata"]["name"]
    cluster.objects[name]["metadata"]["deletionTimestamp"] = "2026-01-31T12:00:00Z"
    answer = post(client)
    assert answer.status_code == 409
    assert "being deleted" in answer.json()["detail"]


def submit_once(request, user, key, cluster, store):
    """Submit, and return the run's name and how it was answered."""
    try:
        run, is_new = submit(prepare(request, user, key), cluster, store)
    except Problem as problem:
        return None, problem.kind
    return run.name, "made" if is_new else "there"


@pytest.mark.parametrize("_", range(5))
def test_many_at_once_with_one_key_make_one_run(tmp_path, _):
    cluster, store = FakeRuns(), FolderStore(tmp_path)
    request = RunRequest.model_validate({"spec": SPEC})
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: submit_once(request, CRANE, "build-42", cluster, store), range(64)))
    assert len(cluster.objects) == 1
    assert {name for name, _ in answers} == set(cluster.objects)
    assert sorted(outcomes for _, outcomes in answers) == ["made"] + ["there"] * 63


def test_two_bodies_at_once_under_one_key_make_one_run(tmp_path):
    cluster, store = FakeRuns(), FolderStore(tmp_path)
    bodies = [RunRequest.model_validate({"spec": SPEC | {"until": until}}) for until in ("ingest", "train")]
    with ThreadPoolExecutor(16) as pool:
        calls = [bodies[i % 2] for i in range(64)]
        answers = list(pool.map(lambda body: submit_once(body, CRANE, "build-42", cluster, store), calls))
    assert len(cluster.objects) == 1
    outcomes = [outcomes for _, outcomes in answers]
    assert (outcomes.count("made"), outcomes.count("there"), outcomes.count("key-reused")) == (1, 31, 32)


def test_users_and_keys_do_not_run_into_each_other(tmp_path):
    cluster, store = FakeRuns(), FolderStore(tmp_path)
    request = RunRequest.model_validate({"spec": SPEC})
    for user in (CRANE, TERN):
        for key in ("a", "b", "crane"):
            assert submit_once(request, user, key, cluster, store)[1] == "made"
    assert len(cluster.objects) == 6
