"""An exporter of plausible metrics of a busy installation, with the names, types and labels of docs/reference.md."""

import itertools
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

RUN = {"run": "ponds", "stage": "train"}
# Value at the n-th scrape; a tuple is a start and an increment.
GAUGES = {
    "slipway_runs": [({"state": "RUNNING"}, 2), ({"state": "QUEUED"}, 1), ({"state": "SUCCEEDED"}, 40)],
    "slipway_run_state": [({"run": "ponds", "state": "RUNNING"}, 1)],
    "slipway_run_attempt": [({"run": "ponds"}, 1)],
    "slipway_run_stage_duration_seconds": [({"run": "ponds", "stage": "ingest"}, 12), (RUN, (300, 1))],
    "slipway_run_last_change_timestamp_seconds": [({"run": "ponds"}, 1_700_000_000)],
    "slipway_dataset_images": [
        ({"run": "ponds", "stage": "ingest", "split": split}, 90) for split in ("train", "test")
    ],
    "slipway_dataset_findings": [({"run": "ponds", "stage": "ingest", "code": "no-area", "severity": "error"}, 3)],
    "slipway_records_written": [({"run": "ponds", "stage": "preprocess"}, 180)],
    "slipway_records_per_second": [({"run": "ponds", "stage": "preprocess"}, 950)],
    "slipway_training_step": [(RUN, (100, 10))],
    "slipway_training_steps": [(RUN, 9000)],
    "slipway_training_loss": [(RUN, (0.9, -0.001))],
    "slipway_training_learning_rate": [(RUN, 0.01)],
    "slipway_training_images_per_second": [(RUN, 80)],
    "slipway_training_input_wait_ratio": [(RUN, 0.1)],
    "slipway_training_progress_timestamp_seconds": [(RUN, 1_700_000_000)],
    "slipway_checkpoint_step": [(RUN, 100)],
    "slipway_checkpoint_timestamp_seconds": [(RUN, 1_700_000_000)],
    "slipway_checkpoint_save_duration_seconds": [(RUN, 2.5)],
    "slipway_evaluation_step": [({"run": "ponds", "stage": "evaluate"}, 100)],
    "slipway_evaluation_lag_steps": [({"run": "ponds", "stage": "evaluate"}, 0)],
    "slipway_evaluation_ap": [({"run": "ponds", "stage": "evaluate"}, 0.4)],
    "slipway_evaluation_ap50": [({"run": "ponds", "stage": "evaluate"}, 0.7)],
    "slipway_evaluation_best_ap": [({"run": "ponds", "stage": "evaluate"}, 0.45)],
    "slipway_evaluation_duration_seconds": [({"run": "ponds", "stage": "evaluate"}, 20)],
    "slipway_export_parity_max_box_difference": [({"run": "ponds", "stage": "export", "format": "tflite"}, 0.1)],
    "slipway_export_bytes": [({"run": "ponds", "stage": "export", "format": "tflite"}, 9_000_000)],
    "slipway_gpu_utilization_ratio": [({**RUN, "gpu": "0.0"}, 0.9)],
    "slipway_gpu_memory_used_bytes": [({**RUN, "gpu": "0.0"}, 9e9)],
    "slipway_gpu_memory_total_bytes": [({**RUN, "gpu": "0.0"}, 16e9)],
    "slipway_controller_reconcile_queue": [({}, 1)],
    "slipway_http_streams": [({}, 2)],
    "slipway_detector_models_loaded": [({}, 1)],
}
COUNTERS = {
    "slipway_stage_retries": [{"stage": "train", "reason": "preempted"}],
    "slipway_stage_failures": [{"stage": "ingest", "reason": "input"}],
    "slipway_controller_reconcile_errors": [{}],
    "slipway_controller_api_requests": [{"verb": "list", "resource": "jobs"}],
    "slipway_http_requests": [{"method": "GET", "route": "/v1/runs", "status": status} for status in ("200", "503")],
    "slipway_detector_requests": [{"status": "200"}],
    "slipway_store_errors": [{"run": "", "stage": "", "operation": "read", "error": "unreachable"}],
}
HISTOGRAMS = {
    "slipway_run_queue_wait_seconds": [{}],
    "slipway_stage_duration_seconds": [{"stage": "train", "outcome": "done"}],
    "slipway_controller_reconcile_duration_seconds": [{}],
    "slipway_http_request_duration_seconds": [{"method": "GET", "route": "/v1/runs"}],
    "slipway_detector_request_duration_seconds": [{}],
    "slipway_detector_inference_duration_seconds": [{}],
    "slipway_detector_model_load_duration_seconds": [{}],
    "slipway_store_operation_duration_seconds": [
        {"run": "", "stage": "", "operation": "read"},
        {"run": "ponds", "stage": "train", "operation": "write"},
    ],
}


def names() -> set[str]:
    """Return the names by which queries know these metrics."""
    return (
        {*GAUGES}
        | {f"{name}_total" for name in COUNTERS}
        | {f"{name}_{part}" for name in HISTOGRAMS for part in ("bucket", "count", "sum")}
    )


def scrapes() -> Iterator[bytes]:
    """Yield the content of each scrape: gauges vary, counters rise."""
    registry = CollectorRegistry()
    gauges = {name: Gauge(name, name, [*cases[0][0]], registry=registry) for name, cases in GAUGES.items()}
    counters = {name: Counter(name, name, [*cases[0]], registry=registry) for name, cases in COUNTERS.items()}
    histograms = {
        name: Histogram(name, name, [*cases[0]], buckets=(0.05, 0.5, 5.0), registry=registry)
        for name, cases in HISTOGRAMS.items()
    }
    for number in itertools.count():
        for name, cases in GAUGES.items():
            for labels, value in cases:
                start, more = value if isinstance(value, tuple) else (value, 0)
                _of(gauges[name], labels).set(start + number * more)
        for name, told in COUNTERS.items():
            for labels in told:
                _of(counters[name], labels).inc()
        for name, told in HISTOGRAMS.items():
            for labels in told:
                _of(histograms[name], labels).observe(0.1)
        yield generate_latest(registry)


def _of(metric, labels):
    return metric.labels(**labels) if labels else metric
