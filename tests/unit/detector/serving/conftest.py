import hashlib
import io
import json
import logging
import threading
import warnings

import pytest
import yaml
from PIL import Image

from slipway.dataset.boxes import Box
from slipway.dataset.labels import LabelMap
from slipway.http.tokens import TokenFile
from slipway.store.folder import FolderStore

with warnings.catch_warnings():  # it asks for httpx2 by then, and works with httpx, which schemathesis needs too
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

from services.detector.detect import Detection
from services.detector.serving.app import create_app
from services.detector.serving.model_loader import Model
from services.detector.serving.settings import DetectorSettings

SECRET = "see-5d1f"
BEARER = {"Authorization": f"Bearer {SECRET}"}
JPEG = {"Content-Type": "image/jpeg"}
FILES = {"saved_model/saved_model.pb": b"graph", "label_map.pbtxt": b"labels", "model.tflite": b"for phones"}


class FakeDetector:
    """Detects a boat in the left half and, with a lower score, a buoy in the right one; a test decides when it ends."""

    labels = LabelMap(("boat", "buoy"))

    def __init__(self):
        self.may_end = threading.Event()
        self.may_end.set()
        self.starts = threading.Semaphore(0)

    def detect(self, image, thresholds):
        self.starts.release()
        assert self.may_end.wait(10)
        half = image.width / 2
        boat = Detection("boat", 1, 0.91237, Box(0, 0, half, image.height))
        buoy = Detection("buoy", 2, 0.5, Box(half, 0, image.width, image.height))
        return [detection for detection in (boat, buoy) if detection.score >= thresholds.of(detection.label)]


class Loader:
    """Loads nothing, and records the runs that it is called for."""

    def __init__(self, detector):
        self.detector, self.runs, self.errors = detector, [], []

    def __call__(self, export):
        self.runs.append(export.run)
        if self.errors:
            raise self.errors.pop()
        return Model(export, self.detector, "2026-01-31T12:00:00Z")


def image(width=40, height=20, file_format="JPEG", **options):
    file = io.BytesIO()
    Image.new("RGB", (width, height), (90, 120, 200)).save(file, file_format, **options)
    return file.getvalue()


def write_export(store, run="ponds", files=FILES, created_at="2026-01-31T12:00:00Z", *, points=None, requested=0.3):
    """Write the documents and files of a run whose export is done."""
    run_file = {"apiVersion": "slipway.dev/v1alpha1", "kind": "TrainingRun", "metadata": {"name": run}}
    run_file["spec"] = {"dataset": {"source": "s3://photos/ponds"}, "detect": {"scoreThreshold": requested}}
    store.write(f"runs/{run}/run.json", json.dumps(run_file).encode())
    store.write(f"index/runs/{created_at}-{run}", b"{}")
    for name, content in files.items():
        store.write(f"runs/{run}/export/{name}", content)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    manifest = {"step": 700, "preset": "small", "image_size": 320, "labels": ["boat", "buoy"], "files": digests}
    manifest["operating_points"] = points
    store.write(f"runs/{run}/export/manifest.json", json.dumps(manifest).encode())


@pytest.fixture
def store(tmp_path):
    store = FolderStore(tmp_path / "store")
    write_export(store)
    return store


@pytest.fixture
def detector():
    return FakeDetector()


@pytest.fixture
def loader(detector):
    return Loader(detector)


@pytest.fixture
def settings():
    """The content of the settings file; tests replace it."""
    return {}


@pytest.fixture
def app(store, loader, settings, tmp_path):
    tokens = tmp_path / "tokens.yaml"
    digest = hashlib.sha256(SECRET.encode()).hexdigest()
    tokens.write_text(yaml.safe_dump([{"name": "wren", "role": "viewer", "sha256": digest}]))
    return create_app(store, DetectorSettings.model_validate(settings), TokenFile(tokens), loader)


@pytest.fixture
def client(app):
    """A client with a viewer's token."""
    with TestClient(app, headers=BEARER, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def events(caplog):
    """Return a function that returns the fields of each logged event of a name."""
    caplog.set_level(logging.INFO, logger="slipway.events")

    def fields(name):
        return [record.fields for record in caplog.records if record.getMessage() == name]

    return fields


@pytest.fixture
def metric(app):
    """Return a function that returns a metric's value."""

    def value(name, **labels):
        return app.state.context.metrics.registry.get_sample_value(f"slipway_detector_{name}", labels)

    return value
