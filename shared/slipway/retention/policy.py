"""What of a store may go: decided from its listing, its runs and the limits; nothing is changed here."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from slipway import keys
from slipway.artifacts.dataset import IngestResult
from slipway.artifacts.json_io import read_optional
from slipway.artifacts.outcome import RunRecord
from slipway.errors import BrokenDocument, SpecError
from slipway.run.names import NAME_PATTERN, PROCESS_NAMES, SHA256_PATTERN
from slipway.run.pipeline import State
from slipway.run.run_file import load_run
from slipway.run.spec import TrainingRun
from slipway.store.interface import Listed, ObjectStore, list_keys

BLOB_AGE_SEC = 86400.0  # what an ingest that broke off has stored is kept so long, for it may carry on

_AGE = re.compile(r"(\d{1,6})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_UPLOAD = r"\d{8}T\d{6}Z-[0-9a-f]{16}"
# Whatever has no such key is not ours, and is never touched. A group's folder is its first match.
_SHAPES = {
    "run": re.compile(rf"runs/{NAME_PATTERN}(?=/)"),
    "dataset": re.compile(rf"datasets/{NAME_PATTERN}/{SHA256_PATTERN}(?=/)"),
    "records": re.compile(rf"records/{SHA256_PATTERN}/{SHA256_PATTERN}(?=/)"),
    "upload": re.compile(rf"(?:uploads|incoming)/{_UPLOAD}(?=/|\.json$)"),
    "blob": re.compile(rf"blobs/[0-9a-f]{{2}}/{SHA256_PATTERN}$"),
    "index": re.compile(rf"index/runs/\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ-{NAME_PATTERN}$"),
}
_LASTING = re.compile(r"(?:locks|checkpoints/initial|blueprints)/")  # ours, and never removed
_PREFIXES = ("runs", "datasets", "records", "uploads", "incoming", "blobs", "index/runs")
# Of a run whose run.json is gone already, for its removal was cut short.
_REST = re.compile(rf"(?:{'|'.join(PROCESS_NAMES)}|logs|metrics)/|(?:record\.json|report\.html)$")
_INDEX_TIME = len("2026-01-31T12:00:00Z-")


@dataclass(frozen=True)
class Limits:
    """How long something is kept after it was last written; None is for ever.

    Attributes:
      records: They can be made again, so those of runs that have succeeded are not spared.
      uploads: Complete or not.
      keep: Names of runs that stay.
      unfinished: Runs that never ended may go too.
    """

    runs: timedelta | None = None
    datasets: timedelta | None = None
    records: timedelta | None = timedelta(days=30)
    uploads: timedelta | None = timedelta(days=7)
    keep: frozenset[str] = frozenset()
    unfinished: bool = False


@dataclass(frozen=True)
class Group:
    """What is kept or removed as one."""

    kind: str
    name: str
    listed: tuple[Listed, ...]

    @property
    def bytes(self) -> int:
        return sum(listed.size for listed in self.listed)

    @property
    def modified_at(self) -> float:
        return max(listed.modified_at for listed in self.listed)


@dataclass(frozen=True)
class StoredRun:
    """A run of the store, and what it needs.

    Attributes:
      state: None while it has not ended.
      dataset: Its folder, once it is known.
      source: What its ingest still has to read.
      is_rest: Its removal was cut short.
    """

    group: Group
    state: State | None = None
    dataset: str | None = None
    source: str = ""
    is_rest: bool = False


@dataclass
class Inventory:
    """All that is Slipway's in a store."""

    groups: dict[str, list[Group]] = field(default_factory=dict)
    runs: list[StoredRun] = field(default_factory=list)


def parse_age(text: str) -> timedelta | None:
    """Read `90d`, `12h`, `30m`, `2w`, or `never`. Raises `SpecError`."""
    if text == "never":
        return None
    if not (found := _AGE.fullmatch(text)):
        raise SpecError(f"{text!r} is no age; give a number and m, h, d or w, such as 90d, or never")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def take_inventory(store: ObjectStore) -> Inventory:
    """List what is there, and read how its runs stand.

    Raises:
      SpecError: The store holds something, and none of it is Slipway's.
    """
    sorted_out: dict[tuple[str, str], list[Listed]] = defaultdict(list)
    for listed in (listed for prefix in _PREFIXES for listed in store.scan(prefix)):
        if belongs := _group_of(listed.key):
            sorted_out[belongs].append(listed)
    if not sorted_out and any(not _LASTING.match(key) for key in list_keys(store)):
        raise SpecError(f"{store.url}: nothing in it is Slipway's; give the store, such as the --out of slipway run")
    found = Inventory()
    for (kind, name), own in sorted_out.items():
        found.groups.setdefault(kind, []).append(Group(kind, name, tuple(own)))
    found.runs = [_stored_run(store, group) for group in _runs(found.groups)]
    return found


def expired_runs(found: Inventory, limits: Limits, now: float) -> list[StoredRun]:
    """Return the runs that may go: none that has not ended, unless that is asked for."""
    return [
        run
        for run in found.runs
        if _is_old(run.group, limits.runs, now)
        and run.group.name not in limits.keep
        and (run.state is not None or run.is_rest or limits.unfinished)
    ]


def expired_uploads(found: Inventory, limits: Limits, now: float) -> list[Group]:
    """Return what was sent, but not what a run that has not ended reads."""
    sources = "\n".join(run.source for run in found.runs if run.state is None)
    read = set(re.findall(rf"/uploads/({_UPLOAD})", sources))
    old = (group for group in found.groups.get("upload", ()) if _is_old(group, limits.uploads, now))
    return [group for group in old if group.name not in read]


def expired_datasets(found: Inventory, runs: Iterable[StoredRun], limits: Limits, now: float) -> list[Group]:
    """Return the datasets that none of the runs refers to."""
    used = {run.dataset for run in runs}
    old = (group for group in found.groups.get("dataset", ()) if _is_old(group, limits.datasets, now))
    return [group for group in old if group.name not in used]


def expired_records(found: Inventory, runs: Iterable[StoredRun], limits: Limits, now: float) -> list[Group]:
    """Return the records that none of the runs will read again."""
    going_on = [run for run in runs if run.state not in {State.SUCCEEDED, State.CANCELED}]
    used = {run.dataset.rpartition("/")[2] for run in going_on if run.dataset}
    old = (group for group in found.groups.get("records", ()) if _is_old(group, limits.records, now))
    return [group for group in old if group.name.split("/")[1] not in used]


def unused_blobs(found: Inventory, used: set[str], now: float) -> list[Group]:
    """Return the blobs of which no dataset says that it uses them.

    Args:
      used: Digests.
    """
    old = (group for group in found.groups.get("blob", ()) if group.modified_at < now - BLOB_AGE_SEC)
    return [group for group in old if group.name.rpartition("/")[2] not in used]


def _group_of(key: str) -> tuple[str, str] | None:
    for kind, shape in _SHAPES.items():
        if match := shape.match(key):
            folder = match[0]
            return kind, folder if kind in {"dataset", "records", "blob"} else folder.rpartition("/")[2]
    return None


def _runs(groups: Mapping[str, list[Group]]) -> Iterator[Group]:
    """Yield each run with its keys of the index."""
    index: dict[str, list[Listed]] = defaultdict(list)
    for group in groups.get("index", ()):
        index[group.name[_INDEX_TIME:]] += group.listed
    for group in groups.get("run", ()):
        folder = f"{keys.run_folder(group.name)}/"
        names = [listed.key.removeprefix(folder) for listed in group.listed]
        if "run.json" in names or all(map(_REST.match, names)):
            yield Group(group.kind, group.name, (*index[group.name], *group.listed))


def _stored_run(store: ObjectStore, group: Group) -> StoredRun:
    there = {listed.key for listed in group.listed}
    if keys.run(group.name) not in there:
        return StoredRun(group, is_rest=True)
    ingested = read_optional(store, keys.result(group.name, "ingest"), IngestResult)
    made = ingested.dataset if ingested else None
    try:
        run = load_run(group.name, store)
        record = read_optional(store, keys.record(group.name), RunRecord)
    except (SpecError, BrokenDocument):  # of another version, or damaged: what cannot be read has not ended
        return StoredRun(group, dataset=made)
    dataset = run.spec.dataset
    if dataset.ref:
        made = keys.dataset(*dataset.ref.split("@"))
    source = "" if made else str(dataset.source)
    return StoredRun(group, _ended(run, record, there), made, source)


def _ended(run: TrainingRun, record: RunRecord | None, there: set[str]) -> State | None:
    """Return the state in which the run ended; a run on somebody's machine has no record."""
    name, stages = run.metadata.name, run.spec.stages
    if record:
        return record.state if record.is_final else None
    if keys.result(name, stages[-1]) in there:
        return State.SUCCEEDED
    return State.FAILED if any(keys.failure(name, stage) in there for stage in stages) else None


def _is_old(group: Group, limit: timedelta | None, now: float) -> bool:
    return limit is not None and group.modified_at < now - limit.total_seconds()
