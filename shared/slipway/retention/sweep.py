"""Remove what is kept too long, so that nothing is ever seen by half.

What makes a thing visible goes first: a run's keys of the index, then `run.json`; a dataset's manifest; the parts of
records; an upload's listing. Cut short anywhere, the next time finds the rest by its age and goes on. Datasets, records
and blobs, which ingests take up, are removed only while none works: see `slipway.store.sweep_lock`.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

from slipway import keys
from slipway.dataset import annotations
from slipway.errors import BrokenDocument, SlipwayError, SpecError, StoreUnavailable
from slipway.retention.policy import (
    Group,
    Inventory,
    Limits,
    StoredRun,
    expired_datasets,
    expired_records,
    expired_runs,
    expired_uploads,
    take_inventory,
    unused_blobs,
)
from slipway.store import sweep_lock
from slipway.store.interface import Listed, ObjectStore, in_parallel

_BATCH = 64
_MOST_FAILURES = 50  # then it is not single keys
_FIRST = {
    "run": re.compile(r"index/|runs/[^/]+/run\.json$"),
    "dataset": re.compile(r".*/manifest\.json$"),
    "records": re.compile(r".*/parts/"),
    "upload": re.compile(r"uploads/[^/]+\.json$|incoming/"),
    "blob": re.compile(r""),
}

Show = Callable[[Group], None]
T = TypeVar("T")


@dataclass
class Removal:
    """What was removed, or in a dry run would be.

    Attributes:
      counts: By kind: run, upload, dataset, records, blob.
      unfinished: Runs that are old, and stay because they never ended.
      postponed: Ingests for which datasets, records and blobs were left for the next time.
      failures: Key, and what the store said.
    """

    counts: dict[str, int] = field(default_factory=dict)
    bytes: int = 0
    unfinished: list[str] = field(default_factory=list)
    postponed: list[str] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)


class _Postponed(Exception):
    """An ingest has come."""


@dataclass
class _Remover:
    """Removes groups, or only counts them.

    Attributes:
      gone: Names of groups that nobody sees any more.
    """

    store: ObjectStore
    is_dry: bool
    show: Show
    removal: Removal = field(default_factory=Removal)
    may_go_on: Callable[[], bool] = lambda: True
    gone: set[str] = field(default_factory=set)

    def remove(self, group: Group) -> None:
        """Remove first what makes it visible, one by one; where that fails, all of it stays."""
        first = sorted(listed.key for listed in group.listed if _FIRST[group.kind].match(listed.key))
        if not self.is_dry:
            for batch in _batches(first, 1 if group.kind == "run" else _BATCH):
                if not self._delete(batch):
                    return
            rest = [listed for listed in group.listed if listed.key not in set(first)]
            for batch in _batches([listed.key for listed in self._unchanged(group, rest)], _BATCH):
                self._delete(batch)
        self.gone.add(group.name)
        self._count(group)

    def remove_blobs(self, blobs: Iterable[Group]) -> None:
        for some in _batches(blobs, _BATCH):
            if self.is_dry or self._delete([group.listed[0].key for group in some]):
                for group in some:
                    self._count(group)

    def _count(self, group: Group) -> None:
        counts = self.removal.counts
        counts[group.kind] = counts.get(group.kind, 0) + 1
        self.removal.bytes += group.bytes
        self.show(group)

    def _unchanged(self, group: Group, rest: list[Listed]) -> list[Listed]:
        """Leave out what an upload that was completed at this moment has written anew."""
        if group.kind != "upload":
            return rest
        there = set(self.store.scan(keys.upload(group.name)))
        return [listed for listed in rest if listed in there]

    def _delete(self, batch: list[str]) -> bool:
        if not self.may_go_on():
            raise _Postponed
        failures = {key: said for key, said in zip(batch, in_parallel(self._try, batch), strict=True) if said}
        self.removal.failures |= failures
        if len(self.removal.failures) > _MOST_FAILURES:
            raise StoreUnavailable(f"more than {_MOST_FAILURES} keys were not removed: {next(iter(failures.values()))}")
        return not failures

    def _try(self, key: str) -> str:
        try:
            self.store.delete(key)
        except SlipwayError as error:
            return str(error)
        return ""


def collect(store: ObjectStore, limits: Limits, now: float, show: Show, is_dry: bool = False) -> Removal:
    """Apply the limits to a store.

    Args:
      now: Seconds since 1970.
      show: Is told of each thing that was removed.

    Raises:
      SpecError: It is no store of Slipway's.
      StoreUnavailable: It does not answer, or refuses one key after the other.
    """
    remover = _Remover(store, is_dry, show)
    found = take_inventory(store)
    expired = expired_runs(found, limits, now)
    for run in expired:
        remover.remove(run.group)
    for upload in expired_uploads(found, limits, now):
        remover.remove(upload)
    remover.removal.unfinished = _unfinished(found, limits, now)
    if is_dry:
        _sweep(remover, found, limits, now)
        return remover.removal
    with sweep_lock.sweep_lock(store) as remover.may_go_on:
        try:
            if not remover.may_go_on():
                raise _Postponed
            _sweep(remover, take_inventory(store), limits, now)
        except _Postponed:
            remover.removal.postponed = sweep_lock.running_ingests(store)
    return remover.removal


def _sweep(remover: _Remover, found: Inventory, limits: Limits, now: float) -> None:
    """Remove what runs share and none needs."""
    runs: list[StoredRun] = [run for run in found.runs if run.group.name not in remover.gone]
    for records in expired_records(found, runs, limits, now):
        remover.remove(records)
    for dataset in expired_datasets(found, runs, limits, now):
        remover.remove(dataset)
    datasets = [group for group in found.groups.get("dataset", ()) if group.name not in remover.gone]
    remover.remove_blobs(unused_blobs(found, _used(remover, datasets), now))


def _used(remover: _Remover, datasets: Iterable[Group]) -> set[str]:
    """Return the digests that the datasets refer to; one that cannot be read ends it, for its blobs are not known."""
    used: set[str] = set()
    for dataset in datasets:
        if not remover.may_go_on():
            raise _Postponed
        for listed in dataset.listed:
            if listed.key.endswith(".jsonl"):
                used |= _digests(listed.key, remover.store)
    return used


def _digests(key: str, store: ObjectStore) -> set[str]:
    try:
        return {image.sha256 for image in annotations.parse(store.read(key), key)}
    except BrokenDocument as error:
        raise SpecError(f"{key}: is damaged, so it is not known which images it needs; remove that dataset") from error


def _unfinished(found: Inventory, limits: Limits, now: float) -> list[str]:
    ended = {run.group.name for run in found.runs if run.state is not None or run.is_rest}
    all_old = expired_runs(found, Limits(runs=limits.runs, keep=limits.keep, unfinished=True), now)
    return [] if limits.unfinished else [run.group.name for run in all_old if run.group.name not in ended]


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    waiting = iter(items)
    while some := list(islice(waiting, size)):
        yield some
