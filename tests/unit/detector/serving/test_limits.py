"""Limits: tokens, rates, bodies, pixels, requests at a time."""

import struct
import zlib
from concurrent.futures import ThreadPoolExecutor, as_completed

import pytest

from tests.unit.detector.serving.conftest import JPEG, image

PREDICT = "/v1/models/ponds:predict"
OPEN = {"/healthz", "/readyz"}


@pytest.fixture
def settings():
    return {"limits": {"bodyBytes": 20_000, "pixels": 10_000, "atOnce": 1, "waiting": 1, "bodySeconds": 1}}


def test_every_route_but_the_probes_refuses_requests_without_a_good_token(app, client, loader):
    routes = [(method.upper(), path) for path, methods in app.openapi()["paths"].items() for method in methods]
    assert {path for _, path in routes} == OPEN | {"/v1/models", "/v1/models/{run}", "/v1/models/{run}:predict"}
    for method, path in routes:
        for headers in ({"Authorization": ""}, {"Authorization": "Bearer nobodys"}, {"Authorization": "Basic eDp5"}):
            answer = client.request(method, path.replace("{run}", "ponds"), headers=headers, content=b"{")
            assert answer.status_code == (200 if path in OPEN else 401), (method, path)
            if path not in OPEN:
                assert answer.headers["content-type"] == "application/problem+json"
                assert answer.json()["type"] == "urn:slipway:problem:unauthenticated"
    assert loader.runs == []


class TestRate:
    @pytest.fixture
    def settings(self):
        return {"limits": {"requestsPerSecond": 0.01, "burst": 2}}

    def test_too_many_requests_are_refused(self, client):
        assert [client.get("/v1/models").status_code for _ in range(3)] == [200, 200, 429]


def test_a_long_body_is_refused_by_its_length(client, metric):
    answer = client.post(PREDICT, content=b"x" * 20_001, headers=JPEG)
    assert (answer.status_code, answer.json()["type"]) == (413, "urn:slipway:problem:too-long")
    assert metric("requests_total", status="413") == 1


@pytest.mark.parametrize(
    ("content_type", "start"),
    [
        ("image/jpeg", b""),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="image"\r\n\r\n'),
    ],
    ids=["bare", "form"],
)
def test_a_long_body_without_a_length_is_refused_as_it_comes(client, content_type, start):
    chunks = (part for part in (start, b"x" * 9000, b"x" * 9000, b"x" * 9000))
    answer = client.post(PREDICT, content=chunks, headers={"Content-Type": content_type})
    assert (answer.status_code, answer.json()["type"]) == (413, "urn:slipway:problem:too-long")


def bomb(width, height):
    """A PNG of a few bytes whose header promises very many pixels."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("width", "height"), [(101, 100), (8000, 8000), (60_000, 60_000)])
def test_an_image_of_too_many_pixels_is_refused_by_its_header(client, detector, width, height):
    answer = client.post(PREDICT, content=bomb(width, height), headers={"Content-Type": "image/png"})
    assert answer.status_code == 422
    assert "pixels" in answer.json()["detail"]
    assert not detector.starts.acquire(blocking=False)


def test_an_image_of_just_so_many_pixels_is_taken(client):
    assert client.post(PREDICT, content=image(100, 100), headers=JPEG).status_code == 200


def test_a_request_beyond_the_queue_is_told_to_retry(client, detector, metric):
    detector.may_end.clear()
    with ThreadPoolExecutor(3) as others:
        working = others.submit(client.post, PREDICT, content=image(), headers=JPEG)
        assert detector.starts.acquire(timeout=10)
        both = [others.submit(client.post, PREDICT, content=image(), headers=JPEG) for _ in range(2)]
        answer = next(as_completed(both)).result()  # one waits, whichever was the first
        assert client.get("/healthz").status_code == 200
        detector.may_end.set()
        codes = sorted(future.result().status_code for future in [working, *both])
    assert codes == [200, 200, 503]
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["type"] == "urn:slipway:problem:busy"
    assert client.post(PREDICT, content=image(), headers=JPEG).status_code == 200


@pytest.mark.parametrize("query", ["scoreThreshold=1.1", "scoreThreshold=nan", "maxDetections=0", "maxDetections=1001"])
def test_a_wrong_parameter_is_named(client, query):
    answer = client.post(f"{PREDICT}?{query}", content=image(), headers=JPEG)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["parameter"] == query.partition("=")[0]


@pytest.mark.parametrize("run", ["..", "%2e%2e", "Ponds", "a" * 53, "ponds%2Fexport", "ponds%00"])
def test_a_name_that_no_run_has_never_reaches_the_store(client, loader, run):
    assert client.get(f"/v1/models/{run}").status_code in (404, 422)
    assert client.post(f"/v1/models/{run}:predict", content=image(), headers=JPEG).status_code in (404, 422)
    assert loader.runs == []
