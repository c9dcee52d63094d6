"""A cache of the latest metric snapshot of each process of a stage, read from the store at intervals."""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple, cast

from slipway import keys
from slipway.artifacts.outcome import MetricSample
from slipway.errors import MissingKey
from slipway.events import event
from slipway.run.names import Stage, processes_of
from slipway.stage.metric_snapshots import KNOWN, SnapshotIgnored, read_snapshot
from slipway.store.interface import ObjectStore
from slipway.store.measured import DURATION, ERROR_COUNT
from slipway.text import parse_timestamp

from services.controller import metrics
from services.controller.kube.objects import TrainingRunObject

_SETTLED_SEC = 60.0  # a process writes its last snapshot after its result, from which on its stage counts as done

_TRANSIENT = (DURATION.name, ERROR_COUNT.name)  # four fifths of the series; needed only while the stage runs

Labels = tuple[tuple[str, str], ...]
Values = Mapping[tuple[str, Labels], float]  # by a sample's name and labels


class Source(NamedTuple):
    """A process of a stage; the evaluator counts as a stage of its own."""

    run: str
    stage: str
    worker: int

    @property
    def key(self) -> str:
        return keys.snapshot(self.run, self.stage, self.worker)


class SnapshotCache:
    """The latest snapshot of every process of the exported runs.

    Args:
      now: Seconds since 1970.
    """

    def __init__(self, store: ObjectStore, now: Callable[[], float]) -> None:
        self._store, self._now = store, now
        self._samples: dict[Source, dict[str, list[MetricSample]]] = {}
        self._settled_sources: set[tuple[Source, str]] = set()
        self._ignored_sources: set[Source] = set()
        self._lock = threading.Lock()

    def refresh(self, runs: Iterable[TrainingRunObject]) -> None:
        """Read the snapshots of these runs and drop all others; those of an ended stage are read until they are final.

        Raises:
          SlipwayError: The store does not answer, or refuses a request.
        """
        sources = {source: end for run in runs for source, end in _sources(run)}
        with self._lock:
            self._samples = {source: samples for source, samples in self._samples.items() if source in sources}
        self._settled_sources = {(source, end) for source, end in self._settled_sources if sources.get(source) == end}
        self._ignored_sources &= sources.keys()
        due_sources = [source for source, end in sources.items() if (source, end) not in self._settled_sources]
        for source in due_sources:  # not in threads, which would delay the end of the process
            self._read(source)
        self._settle({(source, sources[source]) for source in due_sources if self._is_settled(sources[source])})

    def values(self) -> dict[tuple[str, str], Values]:
        """Return the values of each stage of each run, with the workers merged as the metric's specification says."""
        with self._lock:
            samples_of = sorted(self._samples.items())
        stage_values: dict[tuple[str, str], dict[tuple[str, Labels], float]] = {}
        for source, metric_samples in samples_of:
            values = stage_values.setdefault((source.run, source.stage), {})
            for name, samples in metric_samples.items():
                _merge(values, samples, KNOWN[name].workers, source.worker)
        return dict(stage_values)

    def _read(self, source: Source) -> None:
        try:
            samples = read_snapshot(self._store, source.key)
        except MissingKey:
            return
        except SnapshotIgnored as error:
            metrics.SNAPSHOTS_IGNORED.inc()
            if source not in self._ignored_sources:
                self._ignored_sources.add(source)
                event("snapshot_ignored", logging.WARNING, run=source.run, reason=str(error))
            return
        with self._lock:
            self._samples[source] = samples

    def _settle(self, sources: set[tuple[Source, str]]) -> None:
        """Stop reading these sources, and drop their metrics that matter only while a stage runs."""
        self._settled_sources |= sources
        with self._lock:
            for source in {source for source, _ in sources} & self._samples.keys():
                samples = self._samples[source].items()
                self._samples[source] = {name: values for name, values in samples if name not in _TRANSIENT}

    def _is_settled(self, end: str) -> bool:
        return bool(end) and self._now() - seconds(end) > _SETTLED_SEC


def seconds(moment: str) -> float:
    """Convert an RFC 3339 time to seconds since 1970."""
    return parse_timestamp(moment).timestamp()


def _sources(run: TrainingRunObject) -> Iterator[tuple[Source, str]]:
    """Yield the processes of the stages that have started, each with the time its stage ended ("" while it runs)."""
    for stage, status in run.status.stages.items():
        if status.started_at is None:
            continue
        for process in processes_of(cast(Stage, stage)):
            workers = 1 if process.is_sidecar else int(run.spec.get(stage, {}).get("workers", 1))
            for worker in range(workers):
                yield Source(run.name, process.name, worker), status.finished_at or ""


def _merge(values: dict[tuple[str, Labels], float], samples: Iterable[MetricSample], rule: str, worker: int) -> None:
    """Add the samples of one worker.

    Args:
      rule: "first" keeps worker 0's values, "max" the largest; any other rule adds them up.
    """
    if rule == "first" and worker:
        return
    for sample in samples:
        name = (sample.name, tuple(sorted(sample.labels.items())))
        value = values.get(name)
        if value is None:
            values[name] = sample.value
        else:
            values[name] = max(value, sample.value) if rule == "max" else value + sample.value
