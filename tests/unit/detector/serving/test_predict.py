"""Predictions: boxes, or the drawn image."""

import io

import pytest
from PIL import Image

from slipway.http.problems import Problem
from tests.unit.detector.serving.conftest import JPEG, image, write_export

from services.detector.serving.predict import choose_media_type

PREDICT = "/v1/models/ponds:predict"


def test_an_image_is_answered_with_its_boxes(client):
    answer = client.post(PREDICT, content=image(), headers=JPEG)
    assert answer.status_code == 200
    prediction = answer.json()
    assert prediction["model"]["run"] == "ponds"
    assert len(prediction["model"]["digest"]) == 64
    assert (prediction["width"], prediction["height"], prediction["scoreThreshold"]) == (40, 20, 0.3)
    assert prediction["detections"] == [
        {
            "label": "boat",
            "class_id": 1,
            "score": 0.9124,
            "box": {"xmin": 0.0, "ymin": 0.0, "xmax": 20.0, "ymax": 20.0},
        },
        {"label": "buoy", "class_id": 2, "score": 0.5, "box": {"xmin": 20.0, "ymin": 0.0, "xmax": 40.0, "ymax": 20.0}},
    ]
    assert set(prediction["timing"]) == {"decodeSeconds", "inferenceSeconds"}


@pytest.mark.parametrize(
    ("query", "labels"),
    [("scoreThreshold=0.6", ["boat"]), ("scoreThreshold=1", []), ("maxDetections=1", ["boat"])],
)
def test_a_request_may_ask_for_fewer(client, query, labels):
    answer = client.post(f"{PREDICT}?{query}", content=image(), headers=JPEG)
    assert [detection["label"] for detection in answer.json()["detections"]] == labels


POINTS = {
    "split": "val",
    "overall": {"threshold": 0.45, "precision": 0.9, "recall": 0.8, "f1": 0.85},
    "per_class": [{"label": "buoy", "boxes": 70, "threshold": 0.55, "precision": 0.9, "recall": 0.8, "f1": 0.85}],
}


@pytest.mark.parametrize(
    ("export", "query", "expected"),
    [
        pytest.param({"points": POINTS, "requested": None}, "", (0.45, {"buoy": 0.55}, ["boat"]), id="measured"),
        pytest.param(
            {"points": POINTS, "requested": None},
            "?scoreThreshold=0.2",
            (0.2, {}, ["boat", "buoy"]),
            id="of-the-client",
        ),
        pytest.param({"points": POINTS, "requested": 0.95}, "", (0.95, {}, []), id="of-the-run"),
        pytest.param({"requested": None}, "", (0.4, {}, ["boat", "buoy"]), id="export-of-an-older-version"),
    ],
)
def test_thresholds_are_the_clients_or_the_runs_or_the_measured_ones(client, store, export, query, expected):
    write_export(store, "lakes", **export)
    answer = client.post(f"/v1/models/lakes:predict{query}", content=image(), headers=JPEG).json()
    labels = [detection["label"] for detection in answer["detections"]]
    assert (answer["scoreThreshold"], answer["classScoreThresholds"], labels) == expected


def test_a_model_is_described_with_its_measured_thresholds(client, store):
    write_export(store, "lakes", points=POINTS, requested=None)
    model = client.get("/v1/models/lakes").json()
    assert (model["scoreThreshold"], model["classScoreThresholds"]) == (0.45, {"buoy": 0.55})


def test_a_form_is_as_good_as_the_bare_image(client):
    answer = client.post(PREDICT, files={"image": ("a.png", image(file_format="PNG"), "image/png")})
    assert (answer.status_code, answer.json()["width"]) == (200, 40)


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "BMP", "GIF", "TIFF"])
def test_the_content_says_what_format_it_is(client, file_format):
    headers = {"Content-Type": "application/octet-stream"}
    assert client.post(PREDICT, content=image(file_format=file_format), headers=headers).status_code == 200


def test_boxes_are_those_of_the_upright_image(client):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned by 90 degrees
    prediction = client.post(PREDICT, content=image(40, 20, exif=exif), headers=JPEG).json()
    assert (prediction["width"], prediction["height"]) == (20, 40)
    assert prediction["detections"][0]["box"]["ymax"] == 40


@pytest.mark.parametrize(
    ("accept", "file_format"), [("image/*", "JPEG"), ("image/png", "PNG"), ("text/html, image/jpeg;q=0.9", "JPEG")]
)
def test_a_request_for_a_picture_gets_the_drawn_image(client, accept, file_format):
    answer = client.post(PREDICT, content=image(400, 200), headers=JPEG | {"Accept": accept})
    assert answer.headers["content-type"] == f"image/{file_format.lower()}"
    with Image.open(io.BytesIO(answer.content)) as picture:
        assert (picture.format, picture.size) == (file_format, (400, 200))
        assert picture.convert("RGB").getcolors(picture.width * picture.height) != [(400 * 200, (90, 120, 200))]


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("*/*", "application/json"),
        ("", None),
        ("text/html", None),
        ("image/png, application/json;q=0.5", "image/png"),
        ("image/png;q=0.1, application/json;q=0.5", "application/json"),
        ("application/json;q=0, image/*", "image/jpeg"),
        ("image/png;q=much", "image/png"),
    ],
)
def test_the_offered_type_of_the_highest_weight_is_chosen(accept, media_type):
    if media_type:
        assert choose_media_type(accept) == media_type
    else:
        with pytest.raises(Problem, match="ask for one of application/json, image/jpeg, image/png"):
            choose_media_type(accept)


@pytest.mark.parametrize(
    ("content", "content_type", "status", "detail"),
    [
        pytest.param(
            b"<html>", "image/jpeg", 422, "the image: not read as an image: it is none of JPEG, PNG", id="html"
        ),
        pytest.param(b"", "image/jpeg", 422, "not read as an image", id="empty"),
        pytest.param(image(900, 900)[:-400], "image/jpeg", 422, "truncated", id="cut-off"),
        pytest.param(image(), "text/plain", 415, "Content-Type is 'text/plain'; send the image", id="type"),
        pytest.param(image(), "", 415, "Content-Type is ''", id="no-type"),
        pytest.param(image(), "multipart/form-data", 400, "has no boundary", id="no-boundary"),
    ],
)
def test_a_body_that_is_not_an_image_is_refused(client, content, content_type, status, detail):
    answer = client.post(PREDICT, content=content, headers={"Content-Type": content_type})
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert detail in answer.json()["detail"]


def test_postscript_never_reaches_its_interpreter(client):
    content = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n"
    answer = client.post(PREDICT, content=content, headers={"Content-Type": "image/x-eps"})
    assert answer.status_code == 422


def test_a_form_without_the_field_is_told_its_name(client):
    answer = client.post(PREDICT, files={"file": ("a.jpg", image(), "image/jpeg")})
    assert (answer.status_code, answer.json()["detail"]) == (422, "the form has no fields 'image'; send one")


def test_a_model_is_described_before_and_after_it_is_loaded(client, loader):
    before = client.get("/v1/models/ponds").json()
    assert "loadedAt" not in before
    assert (before["classes"], before["imageSize"], before["scoreThreshold"]) == (["boat", "buoy"], 320, 0.3)
    assert loader.runs == []
    client.post(PREDICT, content=image(), headers=JPEG)
    assert client.get("/v1/models/ponds").json()["loadedAt"] == "2026-01-31T12:00:00Z"


def test_runs_with_an_export_are_listed_newest_first(client, store):
    write_export(store, "lakes", created_at="2026-02-01T12:00:00Z")
    store.write("index/runs/2026-02-02T12:00:00Z-unfinished", b"{}")
    assert client.get("/v1/models").json() == {"items": ["lakes", "ponds"]}
    first = client.get("/v1/models?limit=2").json()
    assert first["items"] == ["lakes"]
    assert client.get("/v1/models", params={"page": first["next"]}).json()["items"] == ["ponds"]


def test_a_run_without_an_export_is_not_found(client):
    answer = client.post("/v1/models/marsh:predict", content=image(), headers=JPEG)
    assert answer.status_code == 404
    assert answer.json()["detail"] == "run 'marsh' has no export; GET /v1/models lists the runs that have one"


def test_requests_end_in_metrics(client, metric):
    client.post(PREDICT, content=image(), headers=JPEG)
    client.post(PREDICT, content=b"", headers=JPEG)
    client.get("/v1/models")
    client.get("/healthz")
    assert metric("requests_total", status="200") == 1
    assert metric("requests_total", status="422") == 1
    assert metric("request_duration_seconds_count") == 2
    assert metric("inference_duration_seconds_count") == 1
    assert (metric("models_loaded"), metric("model_load_duration_seconds_count")) == (1, 1)
