"""The removal of expired objects, in an order in which nothing ever looks complete when it is not.

The keys that make something visible are removed first: a run's keys in the index, then `run.json`; a dataset's
manifest; the parts of records; an upload's listing; the addresses and the index of weights. After an interruption, the
next sweep finds the rest by its age and continues. Datasets, records, weights and blobs, which an ingest may reuse, are
removed only while no ingest runs: see `slipway.store.sweep_lock`.
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
from slipway.retention.weights import expired_weights
from slipway.store import sweep_lock
from slipway.store.interface import Listed, ObjectStore, in_parallel

_BATCH = 64
_MOST_FAILURES = 50  # with more, the fault is the store's, not that of single keys
_FIRST = {
    "run": re.compile(r"index/|runs/[^/]+/run\.json$"),
    "dataset": re.compile(r".*/manifest\.json$"),
    "records": re.compile(r".*/parts/"),
    "upload": re.compile(r"uploads/[^/]+\.json$|incoming/"),
    "blob": re.compile(r""),
    "weights": re.compile(r"checkpoints/addresses/|.*\.index$"),
}

Show = Callable[[Group], None]
T = TypeVar("T")


@dataclass
class Removal:
    """The outcome of a sweep; that of a dry run says what a sweep would remove.

    Attributes:
      counts: Number of removed groups by kind: run, upload, dataset, records, weights, blob.
      unfinished: Old runs that are kept because they never ended.
      postponed: Running ingests, because of which datasets, records and blobs wait for the next sweep.
      failures: Key to the store's error.
    """

    counts: dict[str, int] = field(default_factory=dict)
    bytes: int = 0
    unfinished: list[str] = field(default_factory=list)
    postponed: list[str] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)


class _Postponed(Exception):
    """An ingest has started."""


@dataclass
class _Remover:
    """Removes groups, or only counts them.

    Attributes:
      removed_names: Names of groups that are no longer visible.
    """

    store: ObjectStore
    is_dry: bool
    show: Show
    removal: Removal = field(default_factory=Removal)
    may_go_on: Callable[[], bool] = lambda: True
    removed_names: set[str] = field(default_factory=set)

    def remove(self, group: Group) -> None:
        """Remove the keys that make the group visible, then the rest; if the former fails, keep the rest."""
        first = sorted(file.key for file in group.files if _FIRST[group.kind].match(file.key))
        if not self.is_dry:
            for batch in _batches(first, 1 if group.kind == "run" else _BATCH):
                if not self._delete(batch):
                    return
            rest = [file for file in group.files if file.key not in set(first)]
            for batch in _batches([file.key for file in self._unchanged_files(group, rest)], _BATCH):
                self._delete(batch)
        self.removed_names.add(group.name)
        self._count(group)

    def remove_blobs(self, blobs: Iterable[Group]) -> None:
        for batch in _batches(blobs, _BATCH):
            if self.is_dry or self._delete([group.files[0].key for group in batch]):
                for group in batch:
                    self._count(group)

    def _count(self, group: Group) -> None:
        counts = self.removal.counts
        counts[group.kind] = counts.get(group.kind, 0) + 1
        self.removal.bytes += group.bytes
        self.show(group)

    def _unchanged_files(self, group: Group, rest: list[Listed]) -> list[Listed]:
        """Leave out files that have been written again since, by an upload that was just completed."""
        if group.kind != "upload":
            return rest
        current_files = set(self.store.scan(keys.upload(group.name)))
        return [file for file in rest if file in current_files]

    def _delete(self, batch: list[str]) -> bool:
        if not self.may_go_on():
            raise _Postponed
        failures = {key: message for key, message in zip(batch, in_parallel(self._try, batch), strict=True) if message}
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
      show: Called with each group that was removed.

    Raises:
      SpecError: The store is not one of Slipway's.
      StoreUnavailable: It does not answer, or refuses one key after the other.
    """
    remover = _Remover(store, is_dry, show)
    inventory = take_inventory(store)
    expired = expired_runs(inventory, limits, now)
    for run in expired:
        remover.remove(run.group)
    for upload in expired_uploads(inventory, limits, now):
        remover.remove(upload)
    remover.removal.unfinished = _unfinished_runs(inventory, limits, now)
    if is_dry:
        _sweep(remover, inventory, limits, now)
        return remover.removal
    with sweep_lock.sweep_lock(store) as remover.may_go_on:
        try:
            if not remover.may_go_on():
                raise _Postponed
            _sweep(remover, take_inventory(store), limits, now)
        except _Postponed:
            remover.removal.postponed = sweep_lock.running_ingests(store)
    return remover.removal


def _sweep(remover: _Remover, inventory: Inventory, limits: Limits, now: float) -> None:
    """Remove the datasets, records, weights and blobs that no run needs."""
    runs: list[StoredRun] = [run for run in inventory.runs if run.group.name not in remover.removed_names]
    for records in expired_records(inventory, runs, limits, now):
        remover.remove(records)
    for dataset in expired_datasets(inventory, runs, limits, now):
        remover.remove(dataset)
    for weights in expired_weights(remover.store, inventory, runs, limits, now):
        remover.remove(weights)
    datasets = [group for group in inventory.groups.get("dataset", ()) if group.name not in remover.removed_names]
    remover.remove_blobs(unused_blobs(inventory, _used_digests(remover, datasets), now))


def _used_digests(remover: _Remover, datasets: Iterable[Group]) -> set[str]:
    """Return the digests to which the datasets refer. Raises `SpecError` where a dataset cannot be read."""
    digests: set[str] = set()
    for dataset in datasets:
        if not remover.may_go_on():
            raise _Postponed
        for file in dataset.files:
            if file.key.endswith(".jsonl"):
                digests |= _digests(file.key, remover.store)
    return digests


def _digests(key: str, store: ObjectStore) -> set[str]:
    try:
        return {image.sha256 for image in annotations.parse(store.read(key), key)}
    except BrokenDocument as error:
        raise SpecError(f"{key}: is damaged, so it is not known which images it needs; remove that dataset") from error


def _unfinished_runs(inventory: Inventory, limits: Limits, now: float) -> list[str]:
    ended = {run.group.name for run in inventory.runs if run.state is not None or run.is_partly_removed}
    all_old = expired_runs(inventory, Limits(runs=limits.runs, keep=limits.keep, unfinished=True), now)
    return [] if limits.unfinished else [run.group.name for run in all_old if run.group.name not in ended]


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    waiting = iter(items)
    while batch := list(islice(waiting, size)):
        yield batch
