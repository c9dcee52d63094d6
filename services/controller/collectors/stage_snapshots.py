"""What the stages of runs said last in numbers: read from the store now and then, and remembered."""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from slipway import keys
from slipway.artifacts.outcome import MetricSample
from slipway.errors import MissingKey
from slipway.events import event
from slipway.kube.objects import KubernetesObject
from slipway.stage.metric_snapshots import KNOWN, SnapshotIgnored, read_snapshot
from slipway.store.interface import ObjectStore
from slipway.store.measured import FAILED, SECONDS
from slipway.text import parse_timestamp

from services.controller import metrics

_SETTLED_SEC = 60.0  # a process writes its last numbers after its result, which is when its stage counts as done

_PASSING = (SECONDS.name, FAILED.name)  # four of five series of a run: once its stage is over they say nothing new

Labels = tuple[tuple[str, str], ...]
Numbers = Mapping[tuple[str, Labels], float]  # by a sample's name and labels


class Source(NamedTuple):
    """A process of a stage; the evaluator counts as a stage of its own."""

    run: str
    stage: str
    worker: int

    @property
    def key(self) -> str:
        return keys.snapshot(self.run, self.stage, self.worker)


class Told:
    """The last snapshot of every process of the runs that are shown.

    Args:
      now: Seconds since 1970.
    """

    def __init__(self, store: ObjectStore, now: Callable[[], float]) -> None:
        self._store, self._now = store, now
        self._said: dict[Source, dict[str, list[MetricSample]]] = {}
        self._final: set[tuple[Source, str]] = set()
        self._ignored: set[Source] = set()
        self._lock = threading.Lock()

    def learn(self, runs: Iterable[KubernetesObject]) -> None:
        """Read what may be new of these runs, and forget all others; ended stages are read until nothing can follow.

        Raises:
          SlipwayError: The store does not answer, or refuses.
        """
        sources = {source: ended for run in runs for source, ended in _sources(run)}
        with self._lock:
            self._said = {source: said for source, said in self._said.items() if source in sources}
        self._final = {(source, ended) for source, ended in self._final if sources.get(source) == ended}
        self._ignored &= sources.keys()
        due = [source for source, ended in sources.items() if (source, ended) not in self._final]
        for source in due:  # one by one: nobody waits for it, and a pool's threads would outlive the process's end
            self._read(source)
        self._settle({(source, sources[source]) for source in due if self._is_settled(sources[source])})

    def numbers(self) -> dict[tuple[str, str], Numbers]:
        """Return what each stage of each run said: of several workers as the metric's table has it."""
        with self._lock:
            said = sorted(self._said.items())
        merged: dict[tuple[str, str], dict[tuple[str, Labels], float]] = {}
        for source, by_metric in said:
            into = merged.setdefault((source.run, source.stage), {})
            for name, samples in by_metric.items():
                _merge(into, samples, KNOWN[name].workers, source.worker)
        return dict(merged)

    def _read(self, source: Source) -> None:
        try:
            said = read_snapshot(self._store, source.key)
        except MissingKey:
            return
        except SnapshotIgnored as error:
            metrics.SNAPSHOTS_IGNORED.inc()
            if source not in self._ignored:
                self._ignored.add(source)
                event("snapshot_ignored", logging.WARNING, run=source.run, reason=str(error))
            return
        with self._lock:
            self._said[source] = said

    def _settle(self, over: set[tuple[Source, str]]) -> None:
        """Read these no more, and keep of what they said what is still of interest."""
        self._final |= over
        with self._lock:
            for source in {source for source, _ in over} & self._said.keys():
                self._said[source] = {n: samples for n, samples in self._said[source].items() if n not in _PASSING}

    def _is_settled(self, ended: str) -> bool:
        return bool(ended) and self._now() - seconds(ended) > _SETTLED_SEC


def seconds(moment: str) -> float:
    """Return an RFC 3339 time in seconds since 1970."""
    return parse_timestamp(moment).timestamp()


def _sources(run: KubernetesObject) -> Iterator[tuple[Source, str]]:
    """Yield the processes of the stages that have begun, each with when its stage ended, "" while it runs."""
    name, spec = str(run["metadata"]["name"]), run.get("spec", {})
    for stage, status in run.get("status", {}).get("stages", {}).items():
        if "startedAt" not in status:
            continue
        for process in (stage, "evaluate") if stage == "train" else (stage,):
            workers = int(spec.get(stage, {}).get("workers", 1)) if process == stage else 1
            for worker in range(workers):
                yield Source(name, process, worker), status.get("finishedAt", "")


def _merge(into: dict[tuple[str, Labels], float], samples: Iterable[MetricSample], workers: str, worker: int) -> None:
    if workers == "first" and worker:
        return
    for sample in samples:
        name = (sample.name, tuple(sorted(sample.labels.items())))
        there = into.get(name)
        if there is None:
            into[name] = sample.value
        else:
            into[name] = max(there, sample.value) if workers == "max" else there + sample.value
