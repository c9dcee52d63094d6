"""What the controller tells of itself, at `/metrics`."""

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Counter(
    "slipway_controller_api_requests", "Requests to the API server, watches among them.", ["verb", "resource"]
)
RECONCILE = Histogram(
    "slipway_controller_reconcile_duration_seconds",
    "How long a look at one run took.",
    buckets=(0.005, 0.02, 0.1, 0.5, 2, 10, 60),
)
QUEUE = Gauge("slipway_controller_reconcile_queue", "Runs that wait for a look.")


def asked(verb: str, resource: str) -> None:
    """Count one request."""
    REQUESTS.labels(verb, resource).inc()
