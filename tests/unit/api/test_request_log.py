"""One line a request, one line a change, and numbers for Prometheus."""

import logging

import pytest

from tests.unit.api.conftest import SPEC, bearer


@pytest.mark.parametrize("request_id", ["abc", "0f9b-1:2.3_4"])
def test_a_sane_request_id_is_kept(client, request_id):
    assert client.get("/healthz", headers={"X-Request-Id": request_id}).headers["x-request-id"] == request_id


@pytest.mark.parametrize("request_id", ["", "a b", "x" * 129, 'a"b', "é"])
def test_another_request_id_is_replaced(client, request_id):
    new_id = client.get("/healthz", headers={"X-Request-Id": request_id.encode()}).headers["x-request-id"]
    assert len(new_id) == 32
    assert new_id != client.get("/healthz").headers["x-request-id"]


def test_every_answer_says_that_it_is_what_it_says_and_is_kept_by_nobody(client):
    headers = client.get("/v1/presets").headers
    assert (headers["x-content-type-options"], headers["cache-control"]) == ("nosniff", "private, no-cache")


def test_a_request_is_one_line(client, events):
    client.get("/v1/runs/ponds?x=1", headers={"X-Request-Id": "abc"})
    (fields,) = events("request")
    seconds = fields.pop("duration_sec")
    assert 0 <= seconds < 5
    assert fields == {
        "method": "GET",
        "path": "/v1/runs/ponds",
        "status": 404,
        "user": "crane",
        "request_id": "abc",
    }


def test_probes_are_not_worth_a_line(client, caplog):
    caplog.set_level(logging.INFO, logger="slipway.events")
    client.get("/healthz")
    assert caplog.records == []


@pytest.mark.parametrize(
    ("calls", "fields"),
    [
        pytest.param([("POST", "/v1/runs")], ("run.create", "ponds", "done"), id="made"),
        pytest.param([("POST", "/v1/runs")] * 2, ("run.create", "ponds", "unchanged"), id="made-again"),
        pytest.param([("POST", "/v1/runs/ponds:cancel")], ("run.cancel", "ponds", "404"), id="not-there"),
        pytest.param(
            [("POST", "/v1/runs"), ("POST", "/v1/runs/ponds:retry")],
            ("run.retry", "ponds", "state-forbids"),
            id="forbidden",
        ),
        pytest.param(
            [("DELETE", "/v1/runs/ponds")], ("DELETE /v1/runs/{run}", "/v1/runs/ponds", "role-too-low"), id="role"
        ),
    ],
)
def test_a_change_is_told_with_who_asked_and_what_came_of_it(client, events, calls, fields):
    for method, path in calls:
        body = {"metadata": {"name": "ponds"}, "spec": SPEC} if path == "/v1/runs" else None
        client.request(method, path, json=body, headers={"Idempotency-Key": "k", "X-Request-Id": "abc"})
    action, target, outcome = fields
    assert events("audit")[-1] == {
        "user": "crane",
        "role": "submitter",
        "action": action,
        "target": target,
        "outcome": outcome,
        "request_id": "abc",
    }


def test_a_change_that_the_cluster_did_not_answer_is_told(client, cluster, events):
    cluster.is_away = True
    client.post("/v1/runs", json={"spec": SPEC})
    assert events("audit")[0]["outcome"] == "ClusterUnavailable"


def test_reading_is_no_change(client, events):
    client.get("/v1/runs")
    assert events("audit") == []


def test_requests_are_counted_by_route_and_never_by_path(app, client):
    client.post("/v1/runs", json={"metadata": {"name": "ponds"}, "spec": SPEC})
    client.get("/v1/runs/ponds")
    client.get("/v1/runs/lakes")
    client.get("/v1/what/ever")
    client.request("BREW", "/v1/runs")
    value = app.state.metrics.registry.get_sample_value
    count = "slipway_http_requests_total"
    assert value(count, {"method": "GET", "route": "/v1/runs/{run}", "status": "200"}) == 1
    assert value(count, {"method": "GET", "route": "/v1/runs/{run}", "status": "404"}) == 1
    assert value(count, {"method": "GET", "route": "none", "status": "404"}) == 1
    assert value(count, {"method": "POST", "route": "/v1/runs", "status": "201"}) == 1
    assert value(count, {"method": "other", "route": "/v1/runs", "status": "405"}) == 1
    seconds = "slipway_http_request_duration_seconds_count"
    assert value(seconds, {"method": "GET", "route": "/v1/runs/{run}"}) == 2


def test_metrics_are_not_served_with_the_api(client):
    assert client.get("/metrics", headers=bearer("admin")).status_code == 404
