"""How the runs of the namespace stand: a collector that asks nobody, for a scrape must cost next to nothing."""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from slipway.kube.objects import KubernetesObject
from slipway.metrics.registry import PROGRESS_TIME
from slipway.run.pipeline import State
from slipway.stage.metric_snapshots import KNOWN
from slipway.store import measured as store_metrics

from services.controller.collectors.stage_snapshots import Numbers, Told, seconds

ENDED_SHOWN = 100  # a label without end would fill Prometheus

_STATES = [state.value for state in State]


class Fleet(Collector):
    """Tells what is remembered of runs: those that live, and the newest that have ended.

    Args:
      runs: Returns every TrainingRun of the namespace.
      now: Seconds since 1970.
    """

    def __init__(self, runs: Callable[[], list[KubernetesObject]], told: Told, now: Callable[[], float]) -> None:
        self._runs, self._told, self._now = runs, told, now
        self._store = CollectorRegistry()
        store_metrics.register(self._store)

    def collect(self) -> Iterator[Metric]:
        runs, numbers = self._runs(), self._told.numbers()
        yield _states(runs)
        yield from self._stand(shown(runs), numbers)
        yield from self._said(numbers)

    def _stand(self, runs: list[KubernetesObject], numbers: Mapping[tuple[str, str], Numbers]) -> Iterator[Metric]:
        """Tell the controller's own view of each run."""
        now = self._now()
        state = GaugeMetricFamily("slipway_run_state", "1 for the state that the run is in.", labels=["run", "state"])
        attempt = GaugeMetricFamily("slipway_run_attempt", "The newest attempt that was begun.", labels=["run"])
        stages = GaugeMetricFamily(
            "slipway_run_stage_duration_seconds", "How long a stage took, or has run so far.", labels=["run", "stage"]
        )
        changed = GaugeMetricFamily(
            "slipway_run_last_change_timestamp_seconds",
            "When the run's state, a stage or its progress last changed.",
            labels=["run"],
        )
        last = _progress_times(numbers)
        for run in runs:
            name, status = str(run["metadata"]["name"]), run.get("status", {})
            state.add_metric([name, state_of(run)], 1)
            attempt.add_metric([name], status.get("attempt", 1))
            for stage, took in _durations(status, now):
                stages.add_metric([name, stage], took)
            changed.add_metric([name], min(now, max([*_moments(run), last.get(name, 0.0)])))
        yield from (state, attempt, stages, changed)

    def _said(self, numbers: Mapping[tuple[str, str], Numbers]) -> Iterator[Metric]:
        """Tell what stages said, and what this process itself asks of the store, which bears the same names."""
        own = {metric.name: metric for metric in self._store.collect()}
        families = {name: own.get(name) or Metric(name, known.help, known.type) for name, known in KNOWN.items()}
        metric_of = {suffixed: family for family in families.values() for suffixed in _suffixed(family)}
        for (run, stage), samples in numbers.items():
            for (name, labels), value in samples.items():
                metric_of[name].add_sample(name, {"run": run, "stage": stage, **dict(labels)}, value)
        yield from families.values()


def shown(runs: Iterable[KubernetesObject]) -> list[KubernetesObject]:
    """Return the runs that are told one by one: those that live, and the newest hundred that have ended."""
    live: list[KubernetesObject] = []
    ended: list[KubernetesObject] = []
    for run in runs:
        (ended if State(state_of(run)).is_final else live).append(run)
    return live + heapq.nlargest(ENDED_SHOWN, ended, key=lambda run: max(_moments(run)))


def state_of(run: KubernetesObject) -> str:
    """Return the state of a run; one that nobody has looked at is pending, and so is one of an unknown state."""
    word = str(run.get("status", {}).get("state", State.PENDING.value))
    return word if word in _STATES else State.PENDING.value


def _states(runs: Iterable[KubernetesObject]) -> Metric:
    family = GaugeMetricFamily("slipway_runs", "Runs whose object lives, by state.", labels=["state"])
    count = Counter(map(state_of, runs))
    for state in _STATES:
        family.add_metric([state], count[state])
    return family


def _durations(status: Mapping[str, Any], now: float) -> Iterator[tuple[str, float]]:
    for stage, stood in status.get("stages", {}).items():
        if "startedAt" in stood:
            end = seconds(stood["finishedAt"]) if "finishedAt" in stood else now
            yield stage, max(0.0, end - seconds(stood["startedAt"]))


def _moments(run: KubernetesObject) -> Iterator[float]:
    """Yield when something of the run's status changed."""
    status = run.get("status", {})
    created = run["metadata"].get("creationTimestamp")
    yield seconds(created) if created else 0.0
    for part in (status, *status.get("stages", {}).values()):
        yield from (seconds(part[name]) for name in ("startedAt", "finishedAt") if name in part)
    yield from (seconds(condition["lastTransitionTime"]) for condition in status.get("conditions", []))


def _progress_times(numbers: Mapping[tuple[str, str], Numbers]) -> dict[str, float]:
    last: dict[str, float] = {}
    for (run, _), samples in numbers.items():
        last[run] = max(last.get(run, 0.0), samples.get((PROGRESS_TIME.known.name, ()), 0.0))
    return last


def _suffixed(family: Metric) -> list[str]:
    suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"]}
    return [family.name + suffix for suffix in suffixes.get(family.type, [""])]
