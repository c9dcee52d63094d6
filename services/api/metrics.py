"""The API's Prometheus metrics; every label has few values."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from slipway.store.measured import register as register_store_metrics

_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120, 600)  # the longest are uploads


class Metrics:
    """Counts requests and streams, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        register_store_metrics(self.registry)
        self._requests = Counter(
            "slipway_http_requests",
            "Answered requests.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "slipway_http_request_duration_seconds",
            "Time until the answer was sent; for an event stream, until it began.",
            ["method", "route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.streams = Gauge("slipway_http_streams", "Open event streams.", registry=self.registry)

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request.

        Args:
          route: Its template, such as `/v1/runs/{run}`; never the path, since the number of paths has no limit.
        """
        method_label = method if method in _METHODS else "other"
        self._requests.labels(method_label, route, str(status)).inc()
        self._seconds.labels(method_label, route).observe(seconds)
