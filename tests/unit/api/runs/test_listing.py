"""Pages of runs: newest first, each run once, whatever happens between two pages."""

import json

import pytest

from slipway.errors import StoreUnavailable
from tests.unit.api.conftest import SPEC


def put(cluster, name, made_at, state=None, **spec):
    run = cluster.create({"metadata": {"name": name}, "spec": SPEC | spec})
    cluster.objects[name]["metadata"]["creationTimestamp"] = made_at
    if state:
        cluster.report(name, state=state)
    return run


def keep(store, name, made_at, state="SUCCEEDED", dataset=None):
    """Leave what the store has of a run whose object is gone."""
    run = {"metadata": {"name": name}, "spec": {"dataset": dataset or SPEC["dataset"]}}
    store.write(f"runs/{name}/run.json", json.dumps(run).encode())
    store.write(f"runs/{name}/record.json", json.dumps({"name": name, "uid": "u", "state": state}).encode())
    store.write(f"index/runs/{made_at}-{name}", b"{}\n")


def names(client, query=""):
    """Turn every page, and return the names of each."""
    pages, after = [], ""
    while True:
        answer = client.get(f"/v1/runs?{query}{after}").json()
        pages.append([run["metadata"]["name"] for run in answer["items"]])
        if "next" not in answer:
            return pages
        after = f"&page={answer['next']}"


def test_runs_are_newest_first_with_those_that_are_gone_among_them(client, cluster, store):
    put(cluster, "b", "2026-01-02T00:00:00Z")
    put(cluster, "d", "2026-01-04T00:00:00Z")
    keep(store, "a", "2026-01-01T00:00:00Z")
    keep(store, "c", "2026-01-03T00:00:00Z")
    assert names(client) == [["d", "c", "b", "a"]]
    assert names(client, "limit=3") == [["d", "c", "b"], ["a"]]


def test_a_live_run_is_not_listed_again_from_the_index(client, cluster, store):
    put(cluster, "a", "2026-01-01T00:00:00Z", state="RUNNING")
    keep(store, "a", "2026-01-01T00:00:00Z")
    (run,) = client.get("/v1/runs").json()["items"]
    assert run["status"]["state"] == "RUNNING"


def test_a_name_that_was_used_again_stands_for_its_newest_run(client, cluster, store):
    put(cluster, "a", "2026-01-09T00:00:00Z")
    keep(store, "a", "2026-01-01T00:00:00Z")
    assert names(client) == [["a"]]


def test_a_run_that_is_new_since_the_first_page_moves_no_other(client, cluster):
    for day in range(1, 5):
        put(cluster, f"r{day}", f"2026-01-0{day}T00:00:00Z")
    first = client.get("/v1/runs?limit=2").json()
    put(cluster, "r5", "2026-01-05T00:00:00Z")
    second = client.get(f"/v1/runs?limit=2&page={first['next']}").json()
    assert [run["metadata"]["name"] for run in first["items"] + second["items"]] == ["r4", "r3", "r2", "r1"]


def test_runs_of_one_second_are_each_on_one_page(client, cluster):
    for letter in "abcde":
        put(cluster, letter, "2026-01-01T00:00:00Z")
    assert names(client, "limit=2") == [["e", "d"], ["c", "b"], ["a"]]


@pytest.mark.parametrize(
    ("query", "names_found"),
    [
        ("state=FAILED", ["c"]),
        ("state=PENDING", ["b"]),
        ("name=a", ["a"]),
        ("dataset=ponds", ["b", "a"]),
        ("dataset=lakes", ["c"]),
        (f"dataset=lakes@{'ab' * 32}", ["c"]),
        ("state=FAILED&dataset=ponds", []),
    ],
)
def test_a_filter_finds_live_and_gone_runs(client, cluster, store, query, names_found):
    put(cluster, "b", "2026-01-02T00:00:00Z")
    keep(store, "a", "2026-01-01T00:00:00Z")
    keep(store, "c", "2026-01-03T00:00:00Z", "FAILED", {"ref": f"lakes@{'ab' * 32}"})
    assert names(client, query) == [names_found]


def test_a_page_does_not_read_the_whole_store_for_a_filter(client, store):
    for number in range(230):
        keep(store, f"r{number}", f"2026-01-01T00:{number // 60:02}:{number % 60:02}Z", "CANCELED")
    first = client.get("/v1/runs?state=FAILED").json()
    assert first["items"] == []
    assert client.get(f"/v1/runs?state=FAILED&page={first['next']}").json() == {"items": []}


def test_what_retention_has_taken_is_not_listed(client, store):
    keep(store, "a", "2026-01-01T00:00:00Z")
    store.delete("runs/a/run.json")
    assert names(client) == [[]]


@pytest.mark.parametrize("page", ["x", "W10", "bnVsbA", "WzEsMl0", "é"])
def test_a_page_that_nobody_gave_is_refused(client, page):
    answer = client.get("/v1/runs", params={"page": page})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["parameter"] == "page"


@pytest.mark.parametrize(
    ("query", "parameter", "valid"),
    [
        ("limit=0", "limit", None),
        ("sate=FAILED", "sate", None),
        (
            "state=DONE",
            "state",
            ["PENDING", "QUEUED", "RUNNING", "SUSPENDED", "SUCCEEDED", "FAILED", "CANCELING", "CANCELED"],
        ),
    ],
)
def test_a_wrong_parameter_is_named_with_what_is_right(client, query, parameter, valid):
    answer = client.get(f"/v1/runs?{query}")
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["parameter"] == parameter
    assert error.get("valid") == valid


def test_a_store_that_is_away_keeps_nobody_waiting_for_another(client, store, monkeypatch):
    prefixes = []

    def fail(prefix=""):
        prefixes.append(prefix)
        raise StoreUnavailable("no answer; try again")

    monkeypatch.setattr(store, "scan", fail)
    assert [client.get("/v1/runs").status_code for _ in range(5)] == [503] * 5
    assert prefixes == ["index/runs"]


def test_a_damaged_record_hides_no_run(client, store):
    keep(store, "a", "2026-01-01T00:00:00Z")
    keep(store, "b", "2026-01-02T00:00:00Z")
    store.write("runs/b/record.json", b'{"state": "SUCC')
    states = {run["metadata"]["name"]: run["status"]["state"] for run in client.get("/v1/runs").json()["items"]}
    assert states == {"a": "SUCCEEDED", "b": "CANCELED"}
