"""What the controller tells of itself, at `/metrics`; of the runs, `fleet.py` does."""

from prometheus_client import Counter, Gauge, Histogram

from slipway.text import parse_timestamp

from services.controller.status import StageStatus

REQUESTS = Counter(
    "slipway_controller_api_requests", "Requests to the API server, watches among them.", ["verb", "resource"]
)
RECONCILE = Histogram(
    "slipway_controller_reconcile_duration_seconds",
    "How long a look at one run took.",
    buckets=(0.005, 0.02, 0.1, 0.5, 2, 10, 60),
)
QUEUE = Gauge("slipway_controller_reconcile_queue", "Runs that wait for a look.")
ERRORS = Counter("slipway_controller_reconcile_errors", "Looks that failed; each is repeated.")
SNAPSHOTS_IGNORED = Counter(
    "slipway_controller_snapshots_ignored", "Snapshots of stages' metrics that were none, each time they were read."
)
QUEUE_WAIT = Histogram(
    "slipway_run_queue_wait_seconds",
    "From a run's creation until its first pod ran.",
    buckets=(2, 5, 15, 60, 300, 900, 3600, 14_400, 86_400),
)
STAGE_DURATION = Histogram(
    "slipway_stage_duration_seconds",
    "How long stages took, from their Job's first pod to their Job's end, by outcome: done or failed.",
    ["stage", "outcome"],
    buckets=(5, 15, 60, 300, 900, 3600, 14_400, 43_200, 172_800),
)
RETRIES = Counter(
    "slipway_stage_retries",
    "Pods that ended and were, or will be, replaced: preempted, oom, retryable (code 75) or error.",
    ["stage", "reason"],
)
FAILURES = Counter(
    "slipway_stage_failures",
    "Stages that ended failed: input, retries-exhausted, oom, deadline or bug.",
    ["stage", "reason"],
)


def count_request(verb: str, resource: str) -> None:
    """Count one request."""
    REQUESTS.labels(verb, resource).inc()


def stage_ended(stage: str, stood: StageStatus, failure: str) -> None:
    """Count an attempt of a stage that has ended.

    Args:
      failure: Why it failed, in a word; "" when it did not.
    """
    if failure:
        FAILURES.labels(stage, failure).inc()
    if stood.started_at and stood.finished_at:
        took = parse_timestamp(stood.finished_at) - parse_timestamp(stood.started_at)
        STAGE_DURATION.labels(stage, "failed" if failure else "done").observe(max(0.0, took.total_seconds()))
