"""Prometheus metrics of the detector's server; no label has more than a few values."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from slipway.store import measured

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_PREDICT_ROUTE = "/v1/models/{run}:predict"


class Metrics:
    """The detector's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        measured.register(self.registry)
        self._requests = Counter(
            "slipway_detector_requests",
            "Requests for predictions, including those refused before their path was read.",
            ["status"],
            registry=self.registry,
        )
        self._seconds = self._histogram(
            "request_duration_seconds",
            "Time until a prediction was answered, including the wait for a slot and for the model.",
            _SECONDS,
        )
        self.inference = self._histogram(
            "inference_duration_seconds", "Duration of the inference of one batch.", _SECONDS
        )
        self.loading = self._histogram(
            "model_load_duration_seconds", "Time to copy, verify and load a model.", _SECONDS
        )
        self.models = Gauge("slipway_detector_models_loaded", "Models in memory.", registry=self.registry)

    def count(self, _method: str, route: str, status: int, seconds: float) -> None:
        """Count a request if it was for a prediction, or was refused before its route was known (`none`)."""
        if route in (_PREDICT_ROUTE, "none"):
            self._requests.labels(str(status)).inc()
            self._seconds.observe(seconds)

    def _histogram(self, name: str, documentation: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"slipway_detector_{name}", documentation, buckets=buckets, registry=self.registry)
