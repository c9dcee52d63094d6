"""The content of a run's page, gathered from the documents of its stages."""

from collections.abc import Sequence

from slipway import keys
from slipway.artifacts.dataset import DataReport, IngestResult
from slipway.artifacts.error_analysis import ErrorAnalysis
from slipway.artifacts.evaluation import FEW_IMAGES, BestCheckpoint, Curves, MeasuredRow
from slipway.artifacts.export import ExportManifest
from slipway.artifacts.inputs import RunInputs
from slipway.artifacts.json_io import read_document, read_lines, read_optional
from slipway.artifacts.learning_curve import LearningCurve, LearningPoint
from slipway.artifacts.outcome import StageResult
from slipway.artifacts.training import ProgressLine
from slipway.artifacts.weights import RestoredWeights
from slipway.report.error_section import FailurePicture
from slipway.report.pages import RunReport, SamplePictures
from slipway.run.names import STAGES
from slipway.run.spec import TrainingRun
from slipway.store.interface import ObjectStore

# Without detect, which writes the report; the evaluator's time is part of the trainer's.
_STAGES_WITH_DURATION = STAGES[: STAGES.index("detect")]


def assemble(
    run: TrainingRun,
    store: ObjectStore,
    samples: Sequence[SamplePictures],
    seconds: float,
    failures: Sequence[FailurePicture] = (),
) -> RunReport:
    """Gather the content of the report.

    Args:
      seconds: Duration of the detection.
      failures: Pictures of what the detector gets wrong.

    Raises:
      MissingKey: The run was not exported.
    """
    name, inputs = run.metadata.name, RunInputs.load(store, run)
    best = read_document(store, keys.best(name), BestCheckpoint)
    manifest = read_document(store, keys.export_manifest(name), ExportManifest)
    curves = read_optional(store, keys.curves(name), Curves)
    return RunReport(
        name=name,
        data=read_optional(store, keys.data_report(inputs.dataset, "json"), DataReport),
        plan=inputs.plan,
        config=read_document(store, keys.result(name, "ingest"), IngestResult).pipeline_config,
        progress=read_lines(store, keys.progress(name), ProgressLine),
        metrics=read_lines(store, keys.metrics(name), MeasuredRow),
        best=best,
        curves=curves.root if curves else {},
        requested_threshold=run.spec.detect.score_threshold,
        samples=samples,
        errors=read_optional(store, keys.error_analysis(name), ErrorAnalysis),
        failures=failures,
        lineage=_lineage(inputs, manifest, read_optional(store, keys.restored_weights(name), RestoredWeights)),
        durations=_durations(store, name) | {"detect": seconds},
        usage=_usage(name),
        caveats=_caveats(best),
        learning_curve=_learning_curve(inputs, best, store),
    )


def _lineage(inputs: RunInputs, manifest: ExportManifest, weights: RestoredWeights | None) -> dict[str, str]:
    spec = inputs.run.spec
    lineage = {
        "run": spec.digest(),
        "source": spec.dataset.sha256,
        "dataset": inputs.manifest.sha256,
        "records": inputs.records.records,
        "preset": manifest.preset,
        "initial checkpoint": weights.sentence if weights else None,
        "seed": spec.train.seed,
        "checkpoint step": manifest.step,
        **manifest.versions,
    }
    return {name: str(value) for name, value in lineage.items() if value is not None}


def _durations(store: ObjectStore, run: str) -> dict[str, float]:
    results = {stage: read_optional(store, keys.result(run, stage), StageResult) for stage in _STAGES_WITH_DURATION}
    return {stage: r.duration_sec for stage, r in results.items() if r and r.duration_sec is not None}


def _usage(run: str) -> list[str]:
    """Return commands that work in the store's folder, to which keys are relative."""
    export = keys.stage(run, "export")
    return [
        f"# in the folder of the outputs, where runs/ is:\nslipway detect {export} IMAGES --out DETECTIONS",
        f"python -m services.detector.detect_folder --model {export} --images IMAGES --out DETECTIONS",
        "import tensorflow as tf\n"
        f'detect = tf.saved_model.load("{keys.saved_model(run)}").signatures["serving_default"]\n'
        'image = tf.io.decode_image(tf.io.read_file("image.jpg"), channels=3, expand_animations=False)\n'
        "found = detect(image_tensor=image[tf.newaxis])\n"
        'print(found["detection_boxes"][0], found["detection_classes"][0], found["detection_scores"][0])',
    ]


def _learning_curve(inputs: RunInputs, best: BestCheckpoint, store: ObjectStore) -> LearningCurve | None:
    """Return the trainings on shares of the images, if there were any, together with this run."""
    curve = read_optional(store, keys.learning_curve(inputs.name), LearningCurve)
    return curve and curve.add(LearningPoint.of(inputs.name, inputs.manifest.splits["train"].images, best))


def _caveats(best: BestCheckpoint) -> list[str]:
    if best.images >= FEW_IMAGES:
        return []
    return [f"Measured on {best.images} {best.split} images only: the figures are noisy by several points."]
