"""A Prometheus collector of the namespace's runs; it reads only caches, so that a scrape is cheap."""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from pydantic import ValidationError

from slipway.artifacts.outcome import RunStatus, StageStatus
from slipway.kube.objects import KubernetesObject
from slipway.metrics.stage_gauges import PROGRESS_TIME
from slipway.run.pipeline import State
from slipway.stage.metric_snapshots import KNOWN
from slipway.store import measured

from services.controller.collectors.stage_snapshots import SnapshotCache, Values, seconds
from services.controller.kube.objects import TrainingRunObject, state_of

ENDED_RUNS = 100  # a label with ever more values would fill Prometheus


class RunCollector(Collector):
    """Exports the runs that have not ended, and the newest that have ended.

    Args:
      runs: Returns every TrainingRun of the namespace.
      now: Seconds since 1970.
    """

    def __init__(
        self, runs: Callable[[], list[KubernetesObject]], snapshots: SnapshotCache, now: Callable[[], float]
    ) -> None:
        self._runs, self._snapshots, self._now = runs, snapshots, now
        self._store_registry = CollectorRegistry()
        measured.register(self._store_registry)

    def collect(self) -> Iterator[Metric]:
        runs, values = self._runs(), self._snapshots.values()
        yield _count_states(runs)
        yield from self._run_metrics(exported_runs(runs), values)
        yield from self._stage_metrics(values)

    def _run_metrics(self, runs: list[TrainingRunObject], values: Mapping[tuple[str, str], Values]) -> Iterator[Metric]:
        """Yield the metrics that follow from each run's status."""
        now = self._now()
        state = GaugeMetricFamily("slipway_run_state", "1 for the current state of the run.", labels=["run", "state"])
        attempt = GaugeMetricFamily("slipway_run_attempt", "Number of the latest attempt.", labels=["run"])
        stages = GaugeMetricFamily(
            "slipway_run_stage_duration_seconds",
            "Duration of a stage, up to now if it is running.",
            labels=["run", "stage"],
        )
        last_change = GaugeMetricFamily(
            "slipway_run_last_change_timestamp_seconds",
            "Time of the last change of the run's state, stage or progress.",
            labels=["run"],
        )
        progress_times = _progress_times(values)
        for run in runs:
            state.add_metric([run.name, run.status.state], 1)
            attempt.add_metric([run.name], run.status.attempt)
            for stage, duration in _durations(run.status, now):
                stages.add_metric([run.name, stage], duration)
            last_change.add_metric([run.name], min(now, max(*_change_times(run), progress_times.get(run.name, 0.0))))
        yield from (state, attempt, stages, last_change)

    def _stage_metrics(self, values: Mapping[tuple[str, str], Values]) -> Iterator[Metric]:
        """Yield the metrics of the stages, and those of this process's store requests, which share their names."""
        store_families = {metric.name: metric for metric in self._store_registry.collect()}
        families = {
            name: store_families.get(name) or Metric(name, metric.help, metric.type) for name, metric in KNOWN.items()
        }
        family_of = {name: family for family in families.values() for name in _sample_names(family)}
        for (run, stage), samples in values.items():
            for (name, labels), value in samples.items():
                family_of[name].add_sample(name, {"run": run, "stage": stage, **dict(labels)}, value)
        yield from families.values()


def exported_runs(runs: Iterable[KubernetesObject]) -> list[TrainingRunObject]:
    """Return the runs to export: those that have not ended, and the newest hundred that have ended."""
    live_runs: list[KubernetesObject] = []
    ended_runs: list[KubernetesObject] = []
    for run in runs:
        (ended_runs if state_of(run).is_final else live_runs).append(run)
    newest_runs = heapq.nlargest(ENDED_RUNS, ended_runs, key=_end_time)
    return [_readable(run) for run in live_runs + newest_runs]


def _readable(run: KubernetesObject) -> TrainingRunObject:
    """Parse a run, without its status if that cannot be read: one such run must not fail the whole scrape."""
    try:
        return TrainingRunObject.model_validate(run)
    except ValidationError:
        return TrainingRunObject.model_validate({**run, "status": {}})


def _end_time(run: KubernetesObject) -> str:
    """Return the time at which the run ended; such texts sort by time, since all are in UTC."""
    return str(run.get("status", {}).get("finishedAt") or run["metadata"].get("creationTimestamp", ""))


def _count_states(runs: Iterable[KubernetesObject]) -> Metric:
    family = GaugeMetricFamily("slipway_runs", "Runs whose object exists, by state.", labels=["state"])
    count = Counter(map(state_of, runs))
    for state in State:
        family.add_metric([state], count[state])
    return family


def _durations(status: RunStatus, now: float) -> Iterator[tuple[str, float]]:
    for name, stage in status.stages.items():
        if stage.started_at:
            end = seconds(stage.finished_at) if stage.finished_at else now
            yield name, max(0.0, end - seconds(stage.started_at))


def _change_times(run: TrainingRunObject) -> Iterator[float]:
    """Yield the times at which the run's status changed, at least one."""
    yield seconds(run.metadata.creation_timestamp) if run.metadata.creation_timestamp else 0.0
    parts: list[RunStatus | StageStatus] = [run.status, *run.status.stages.values()]
    yield from (seconds(time) for part in parts for time in (part.started_at, part.finished_at) if time)
    yield from (seconds(condition.last_transition_time) for condition in run.status.conditions)


def _progress_times(values: Mapping[tuple[str, str], Values]) -> dict[str, float]:
    """Return the time of the last progress of each run's stages."""
    times: dict[str, float] = {}
    for (run, _), samples in values.items():
        times[run] = max(times.get(run, 0.0), samples.get((PROGRESS_TIME.spec.name, ()), 0.0))
    return times


def _sample_names(family: Metric) -> list[str]:
    suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"]}
    return [family.name + suffix for suffix in suffixes.get(family.type, [""])]
