"""Tests of the rate limits of clients."""

import pytest

from slipway.http.limits import Buckets
from tests.unit.api.conftest import bearer

from services.api.settings import Limits


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def limits():
    return {"bodyBytes": 1000, "uploadBytes": 5000, "requestsPerSecond": 0.01, "burst": 3}


def test_a_bucket_lets_a_burst_through_and_then_the_rate():
    clock = Clock()
    buckets = Buckets(Limits(requests_per_second=2, burst=3), clock)
    assert [buckets.take("crane") for _ in range(4)] == [0, 0, 0, 0.5]
    assert buckets.take("wren") == 0
    clock.now = 0.5
    assert [buckets.take("crane"), buckets.take("crane")] == [0, 0.5]
    clock.now = 99
    assert [buckets.take("crane") for _ in range(4)] == [0, 0, 0, 0.5]


def test_clients_are_forgotten_before_they_fill_the_memory(monkeypatch):
    monkeypatch.setattr("slipway.http.limits._MOST_CLIENTS", 10)
    buckets = Buckets(Limits(), Clock())
    for number in range(100):
        buckets.take(f"10.0.0.{number}")
    assert list(buckets._clients) == [f"10.0.0.{number}" for number in range(90, 100)]


def test_who_asks_too_often_is_told_when_to_come_again(client):
    answers = [client.get("/v1/presets") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[3].json()["type"] == "urn:slipway:problem:too-often"
    assert 90 <= int(answers[3].headers["retry-after"]) <= 100
    assert client.get("/v1/presets", headers=bearer("viewer")).status_code == 200


def test_guessing_tokens_is_slowed_down_but_holds_nobody_up(client):
    wrong = {"Authorization": "Bearer wrong"}
    assert [client.get("/v1/presets", headers=wrong).status_code for _ in range(4)] == [401, 401, 401, 429]
    assert client.get("/v1/presets").status_code == 200


def test_a_long_body_is_refused_by_its_length(client):
    answer = client.post("/v1/runs", content=b"x" * 1001)
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["requestId"] == answer.headers["x-request-id"]


def test_a_long_body_without_a_length_is_refused_as_it_comes(client):
    served_numbers = []

    def chunks():
        for number in range(3):
            served_numbers.append(number)
            yield b"x" * 400

    answer = client.post("/v1/runs", content=chunks())
    assert answer.status_code == 413
    assert "longer than the 1000 bytes" in answer.json()["detail"]


def test_a_body_of_just_the_length_is_read(client):
    body = b'{"spec": {}}'.ljust(1000)
    assert client.post("/v1/runs", content=body, headers={"Content-Type": "application/json"}).status_code == 422
