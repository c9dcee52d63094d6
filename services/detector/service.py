"""Detection stage: runs the export on the test images, draws its detections, and writes the run's page."""

import time
from collections.abc import Callable
from itertools import islice

from PIL.Image import Image

from slipway import keys
from slipway.artifacts.detections import Detections, DetectResult, ImageDetections
from slipway.artifacts.error_analysis import ErrorAnalysis
from slipway.artifacts.inputs import RunInputs
from slipway.artifacts.json_io import read_optional, write_document
from slipway.artifacts.operating_point import choose_thresholds
from slipway.dataset.annotations import AnnotatedImage
from slipway.events import event
from slipway.report.error_section import FailurePicture
from slipway.report.pages import run_report
from slipway.report.run_report import assemble
from slipway.stage.progress import tracked
from slipway.stage.runner import StageParams, write_result
from slipway.store.interface import ObjectStore, download_all

from services.detector.detect import Detection, load, read_operating_points, to_document
from services.detector.images import draw_detections, drawn_names, read_image
from services.detector.samples import Sample, choose_samples, draw_failures, draw_sample, match_boxes


def detect(params: StageParams, store: ObjectStore) -> DetectResult:
    """Detect in the first `maxImages` test images; write the drawn images, `detections.json` and the run's page.

    The detections of at least `scoreThreshold`, or by default the measured threshold of their class, are both listed
    and drawn.
    """
    start_time = time.monotonic()
    spec = params.run.spec.detect
    inputs = RunInputs.load(store, params.run)
    folder = params.scratch / "export"
    download_all(store, keys.stage(params.name, "export"), folder)
    detector = load(folder)
    images = list(islice(inputs.annotated_images(store, "test"), spec.max_images))
    thresholds = choose_thresholds(spec.score_threshold, read_operating_points(folder))
    samples = _detect_all(params, store, lambda image: detector.detect(image, thresholds), images)
    write_document(store, keys.detections(params.name), _detections(samples))
    pictures = [draw_sample(s, _read_image(store, s.image), detector.labels) for s in choose_samples(samples)]
    failures = _failure_pictures(store, inputs)
    duration = round(time.monotonic() - start_time, 1)
    report = assemble(params.run, store, pictures, duration, failures)
    store.write(keys.report(params.name), run_report(report).encode())
    result = DetectResult(
        images=len(samples),
        detections=sum(len(sample.detections) for sample in samples),
        score_threshold=thresholds.overall,
        class_thresholds=thresholds.by_label,
        duration_sec=duration,
    )
    event("detected", **result.model_dump(exclude={"class_thresholds"}, exclude_unset=True))
    return write_result(store, params.name, "detect", result)


def _detect_all(
    params: StageParams, store: ObjectStore, detect_in: Callable[[Image], list[Detection]], images: list[AnnotatedImage]
) -> list[Sample]:
    """Detect in one image after another and write the drawn images; no pixels are kept in memory."""
    names = drawn_names([image.filename for image in images])
    samples = []
    for image in tracked(images, len(images)):
        pixels = _read_image(store, image)
        detections = detect_in(pixels)
        store.write(keys.drawn_image(params.name, names[image.filename]), draw_detections(pixels, detections))
        samples.append(match_boxes(image, detections))
    return samples


def _failure_pictures(store: ObjectStore, inputs: RunInputs) -> list[FailurePicture]:
    """Draw the failures that the evaluator lists; none for a run that an older version evaluated."""
    errors = read_optional(store, keys.error_analysis(inputs.name), ErrorAnalysis)
    if not errors:
        return []
    images = inputs.annotated_images(store, errors.split)
    return draw_failures(errors.failures, images, lambda image: _read_image(store, image))


def _detections(samples: list[Sample]) -> Detections:
    """Return the content of `detections.json`."""
    return Detections(
        tuple(
            ImageDetections(
                filename=sample.image.filename,
                width=sample.image.size.width,
                height=sample.image.size.height,
                detections=to_document(sample.detections),
            )
            for sample in samples
        )
    )


def _read_image(store: ObjectStore, image: AnnotatedImage) -> Image:
    return read_image(store.read(keys.blob(image.sha256)), image.filename)
