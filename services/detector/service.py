"""Run the export on the test images, draw what it finds, and write the run's page."""

import json
import time
from collections.abc import Iterator
from itertools import islice

from PIL.Image import Image

from slipway import keys
from slipway.artifacts.untyped_json import read_json
from slipway.dataset import annotations
from slipway.dataset.annotations import AnnotatedImage
from slipway.events import event
from slipway.report.pages import run_report
from slipway.report.run_report import assemble
from slipway.stage.progress import tracked
from slipway.stage.runner import Result, StageParams, write_result
from slipway.store.interface import ObjectStore, download_all

from services.detector.detect import Detector, load, to_json
from services.detector.images import drawn, drawn_names, read_image
from services.detector.samples import Sample, choose, draw_sample, sample


def detect(params: StageParams, store: ObjectStore) -> Result:
    """Detect in the first `maxImages` test images; write the drawn images, `detections.json` and the run's page.

    What is listed is what is drawn: the detections of at least `scoreThreshold`.
    """
    started = time.monotonic()
    spec = params.run.spec.detect
    folder = params.scratch / "export"
    download_all(store, keys.stage(params.name, "export"), folder)
    detector = load(folder)
    samples = _detect_all(params, store, detector, list(islice(_test_images(params, store), spec.max_images)))
    rows = [
        {"filename": s.image.filename, **s.image.size._asdict(), "detections": to_json(s.detections)} for s in samples
    ]
    store.write(keys.detections(params.name), json.dumps(rows, indent=1).encode() + b"\n")
    shown = [draw_sample(s, _image(store, s.image), detector.labels) for s in choose(samples)]
    seconds = round(time.monotonic() - started, 1)
    store.write(keys.report(params.name), run_report(assemble(params.run, store, shown, seconds)).encode())
    outcome = {
        "images": len(samples),
        "detections": sum(len(s.detections) for s in samples),
        "score_threshold": spec.score_threshold,
        "duration_sec": seconds,
    }
    event("detected", **outcome)
    return write_result(store, params.name, "detect", outcome)


def _detect_all(
    params: StageParams, store: ObjectStore, detector: Detector, images: list[AnnotatedImage]
) -> list[Sample]:
    """Detect and draw one image after another; what is kept of each is small."""
    names = drawn_names([image.filename for image in images])
    samples = []
    for image in tracked(images, len(images)):
        picture = _image(store, image)
        detections = detector.detect(picture, params.run.spec.detect.score_threshold)
        store.write(keys.drawn(params.name, names[image.filename]), drawn(picture, detections))
        samples.append(sample(image, detections))
    return samples


def _test_images(params: StageParams, store: ObjectStore) -> Iterator[AnnotatedImage]:
    """Read the annotations of the test split, shard after shard."""
    dataset = read_json(store, keys.result(params.name, "ingest"))["dataset"]
    shards = read_json(store, keys.manifest(dataset))["splits"]["test"]["shards"]
    for number in range(shards):
        yield from annotations.parse(store.read(keys.annotations(dataset, "test", number, shards)))


def _image(store: ObjectStore, image: AnnotatedImage) -> Image:
    return read_image(store.read(keys.blob(image.sha256)), image.filename)
