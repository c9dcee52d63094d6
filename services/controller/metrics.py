"""The metrics of the controller's own work; `collectors/` exports those of the runs."""

from prometheus_client import Counter, Gauge, Histogram

from slipway.artifacts.outcome import StageStatus
from slipway.text import seconds_between

REQUESTS = Counter(
    "slipway_controller_api_requests", "Requests to the API server, including watches.", ["verb", "resource"]
)
RECONCILE = Histogram(
    "slipway_controller_reconcile_duration_seconds",
    "Duration of a reconciliation of one run.",
    buckets=(0.005, 0.02, 0.1, 0.5, 2, 10, 60),
)
QUEUE = Gauge("slipway_controller_reconcile_queue", "Runs that wait in the work queue.")
ERRORS = Counter("slipway_controller_reconcile_errors", "Reconciliations that failed; each is retried.")
SNAPSHOTS_IGNORED = Counter(
    "slipway_controller_snapshots_ignored", "Invalid metric snapshots of stages, counted at each read."
)
QUEUE_WAIT = Histogram(
    "slipway_run_queue_wait_seconds",
    "Time from a run's creation to the start of its first pod.",
    buckets=(2, 5, 15, 60, 300, 900, 3600, 14_400, 86_400),
)
STAGE_DURATION = Histogram(
    "slipway_stage_duration_seconds",
    "Duration of stages, from the first pod to the end of their Job, by outcome: done or failed.",
    ["stage", "outcome"],
    buckets=(5, 15, 60, 300, 900, 3600, 14_400, 43_200, 172_800),
)
RETRIES = Counter(
    "slipway_stage_retries",
    "Pods that ended and are replaced, by reason: preempted, oom, retryable (code 75) or error.",
    ["stage", "reason"],
)
FAILURES = Counter(
    "slipway_stage_failures",
    "Failed stages, by reason: input, retries-exhausted, oom, deadline or bug.",
    ["stage", "reason"],
)


def count_request(verb: str, resource: str) -> None:
    """Count one request to the API server."""
    REQUESTS.labels(verb, resource).inc()


def stage_ended(stage: str, status: StageStatus, failure: str) -> None:
    """Count an attempt of a stage that has ended.

    Args:
      failure: Reason of the failure, as `stage_failure_kind` returns it; "" if the stage did not fail.
    """
    if failure:
        FAILURES.labels(stage, failure).inc()
    duration = seconds_between(status.started_at, status.finished_at)
    if duration is not None:
        STAGE_DURATION.labels(stage, "failed" if failure else "done").observe(duration)
