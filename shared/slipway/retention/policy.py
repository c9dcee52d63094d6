"""The retention policy: decides from a listing, runs and limits which keys of a store may be removed; removes none."""

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

BLOB_AGE_SEC = 86400.0  # the blobs of an interrupted ingest are kept so long, since it may continue

_AGE = re.compile(r"(\d{1,6})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_UPLOAD = r"\d{8}T\d{6}Z-[0-9a-f]{16}"
# Keys of any other form are not Slipway's, and are never removed. A group's folder is its first match.
_SHAPES = {
    "run": re.compile(rf"runs/{NAME_PATTERN}(?=/)"),
    "dataset": re.compile(rf"datasets/{NAME_PATTERN}/{SHA256_PATTERN}(?=/)"),
    "records": re.compile(rf"records/{SHA256_PATTERN}/{SHA256_PATTERN}(?=/)"),
    "upload": re.compile(rf"(?:uploads|incoming)/{_UPLOAD}(?=/|\.json$)"),
    "blob": re.compile(rf"blobs/[0-9a-f]{{2}}/{SHA256_PATTERN}$"),
    "weights": re.compile(rf"checkpoints/initial/{SHA256_PATTERN}(?=/)"),
    "address": re.compile(rf"checkpoints/addresses/{SHA256_PATTERN}\.json$"),
    "index": re.compile(rf"index/runs/\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ-{NAME_PATTERN}$"),
}
_LASTING = re.compile(r"(?:locks|checkpoints|blueprints|sweeps)/")  # Slipway's, but never removed
_NAMED_BY_FOLDER = {"dataset", "records", "blob", "weights", "address"}
_PREFIXES = ("runs", "datasets", "records", "uploads", "incoming", "blobs", "checkpoints", "index/runs")
# The keys of a run whose removal was interrupted after run.json was deleted.
_PARTLY_REMOVED = re.compile(
    rf"(?:{'|'.join(PROCESS_NAMES)}|logs|metrics)/|(?:record\.json|learning_curve\.json|report\.html)$"
)
_INDEX_TIME = len("2026-01-31T12:00:00Z-")


@dataclass(frozen=True)
class Limits:
    """The time for which each kind is kept after it was last written; None keeps it forever.

    Attributes:
      records: They can be written again, so those of succeeded runs expire too.
      uploads: Complete or not.
      weights: Initial checkpoints that runs copied or fetched; those that a user sent are kept.
      keep: Names of runs that are never removed.
      unfinished: Whether runs that never ended may be removed too.
    """

    runs: timedelta | None = None
    datasets: timedelta | None = None
    records: timedelta | None = timedelta(days=30)
    uploads: timedelta | None = timedelta(days=7)
    weights: timedelta | None = None
    keep: frozenset[str] = frozenset()
    unfinished: bool = False


@dataclass(frozen=True)
class Group:
    """Keys that are kept or removed together."""

    kind: str
    name: str
    files: tuple[Listed, ...]

    @property
    def bytes(self) -> int:
        return sum(file.size for file in self.files)

    @property
    def modified_at(self) -> float:
        return max(file.modified_at for file in self.files)


@dataclass(frozen=True)
class StoredRun:
    """A run in the store, and the objects that it needs.

    Attributes:
      state: None while it has not ended.
      dataset: Folder of its dataset, once that is known.
      source: The source that its ingest still has to read.
      is_partly_removed: Whether its removal was interrupted.
    """

    group: Group
    state: State | None = None
    dataset: str | None = None
    source: str = ""
    is_partly_removed: bool = False


@dataclass
class Inventory:
    """All keys of a store that are Slipway's, in groups."""

    groups: dict[str, list[Group]] = field(default_factory=dict)
    runs: list[StoredRun] = field(default_factory=list)


def parse_age(text: str) -> timedelta | None:
    """Read `90d`, `12h`, `30m`, `2w`, or `never`. Raises `SpecError`."""
    if text == "never":
        return None
    if not (match := _AGE.fullmatch(text)):
        raise SpecError(f"{text!r} is not an age; give a number and m, h, d or w, such as 90d, or never")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def take_inventory(store: ObjectStore) -> Inventory:
    """List a store, and read the state of its runs.

    Raises:
      SpecError: The store holds something, and none of it is Slipway's.
    """
    files_by_group: dict[tuple[str, str], list[Listed]] = defaultdict(list)
    for file in (file for prefix in _PREFIXES for file in store.scan(prefix)):
        if group_key := _group_of(file.key):
            files_by_group[group_key].append(file)
    if not files_by_group and any(not _LASTING.match(key) for key in list_keys(store)):
        raise SpecError(f"{store.url}: nothing in it is Slipway's; give the store, such as the --out of slipway run")
    inventory = Inventory()
    for (kind, name), files in files_by_group.items():
        inventory.groups.setdefault(kind, []).append(Group(kind, name, tuple(files)))
    inventory.runs = [_stored_run(store, group) for group in _runs(inventory.groups)]
    return inventory


def expired_runs(inventory: Inventory, limits: Limits, now: float) -> list[StoredRun]:
    """Return the runs that may be removed; those that have not ended only if the limits include them."""
    return [
        run
        for run in inventory.runs
        if is_old(run.group, limits.runs, now)
        and run.group.name not in limits.keep
        and (run.state is not None or run.is_partly_removed or limits.unfinished)
    ]


def expired_uploads(inventory: Inventory, limits: Limits, now: float) -> list[Group]:
    """Return the old uploads that no unfinished run reads."""
    sources = "\n".join(run.source for run in inventory.runs if run.state is None)
    read = set(re.findall(rf"/uploads/({_UPLOAD})", sources))
    old = (group for group in inventory.groups.get("upload", ()) if is_old(group, limits.uploads, now))
    return [group for group in old if group.name not in read]


def expired_datasets(inventory: Inventory, runs: Iterable[StoredRun], limits: Limits, now: float) -> list[Group]:
    """Return the old datasets to which none of the runs refers."""
    used_names = {run.dataset for run in runs}
    old = (group for group in inventory.groups.get("dataset", ()) if is_old(group, limits.datasets, now))
    return [group for group in old if group.name not in used_names]


def expired_records(inventory: Inventory, runs: Iterable[StoredRun], limits: Limits, now: float) -> list[Group]:
    """Return the old records that none of the runs will read again."""
    going_on = [run for run in runs if run.state not in {State.SUCCEEDED, State.CANCELED}]
    used_names = {run.dataset.rpartition("/")[2] for run in going_on if run.dataset}
    old = (group for group in inventory.groups.get("records", ()) if is_old(group, limits.records, now))
    return [group for group in old if group.name.split("/")[1] not in used_names]


def unused_blobs(inventory: Inventory, used_digests: set[str], now: float) -> list[Group]:
    """Return the old blobs to which no dataset refers.

    Args:
      used_digests: Digests of the blobs to which datasets refer.
    """
    old = (group for group in inventory.groups.get("blob", ()) if group.modified_at < now - BLOB_AGE_SEC)
    return [group for group in old if group.name.rpartition("/")[2] not in used_digests]


def _group_of(key: str) -> tuple[str, str] | None:
    for kind, shape in _SHAPES.items():
        if match := shape.match(key):
            folder = match[0]
            return kind, folder if kind in _NAMED_BY_FOLDER else folder.rpartition("/")[2]
    return None


def _runs(groups: Mapping[str, list[Group]]) -> Iterator[Group]:
    """Yield each run with its keys of the index."""
    index: dict[str, list[Listed]] = defaultdict(list)
    for group in groups.get("index", ()):
        index[group.name[_INDEX_TIME:]] += group.files
    for group in groups.get("run", ()):
        folder = f"{keys.run_folder(group.name)}/"
        names = [file.key.removeprefix(folder) for file in group.files]
        if "run.json" in names or all(map(_PARTLY_REMOVED.match, names)):
            yield Group(group.kind, group.name, (*index[group.name], *group.files))


def _stored_run(store: ObjectStore, group: Group) -> StoredRun:
    present_keys = {file.key for file in group.files}
    if keys.run(group.name) not in present_keys:
        return StoredRun(group, is_partly_removed=True)
    ingest_result = read_optional(store, keys.result(group.name, "ingest"), IngestResult)
    dataset_folder = ingest_result.dataset if ingest_result else None
    try:
        run = load_run(group.name, store)
        record = read_optional(store, keys.record(group.name), RunRecord)
    except (SpecError, BrokenDocument):  # of another version, or damaged: such a run counts as not ended
        return StoredRun(group, dataset=dataset_folder)
    dataset = run.spec.dataset
    if dataset.ref:
        dataset_folder = keys.dataset(*dataset.ref.split("@"))
    source = "" if dataset_folder else str(dataset.source)
    return StoredRun(group, _final_state(run, record, present_keys), dataset_folder, source)


def _final_state(run: TrainingRun, record: RunRecord | None, present_keys: set[str]) -> State | None:
    """Return the state in which the run ended, or None; a local run has no record."""
    name, stages = run.metadata.name, run.spec.stages
    if record:
        return record.state if record.is_final else None
    if keys.result(name, stages[-1]) in present_keys:
        return State.SUCCEEDED
    return State.FAILED if any(keys.failure(name, stage) in present_keys for stage in stages) else None


def is_old(group: Group, limit: timedelta | None, now: float) -> bool:
    return limit is not None and group.modified_at < now - limit.total_seconds()
