"""All runs, newest first: those of the cluster, and those of the store whose object is gone."""

import base64
import heapq
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from pydantic import ConfigDict

from slipway import API_VERSION
from slipway.http.problems import FieldError, Problem
from slipway.models import AnswerModel
from slipway.run.pipeline import State
from slipway.run.spec import RunSpec
from slipway.store.interface import ObjectStore

from services.api.kube.runs import RunsCluster
from services.api.runs.run_object import Entry, RunObject
from services.api.runs.stored_runs import StoredRuns

_MIN_CHUNK = 16
_MAX_READS = 200  # of runs in the store for one page; a page that is short for this reason has a `next` all the same


class RunMetadata(AnswerModel):
    """The identity of a run.

    Attributes:
      created_at: RFC 3339, in UTC.
      owner: Name of the user who submitted it over HTTP.
    """

    name: str
    created_at: str | None = None
    owner: str | None = None


class RunStatus(AnswerModel):
    """The state of a run, and everything else that the controller reports."""

    model_config = ConfigDict(extra="allow")

    state: State


class Run(AnswerModel):
    """A TrainingRun as the cluster has it; once its object is gone, as the store has it."""

    api_version: str = API_VERSION
    kind: str = "TrainingRun"
    metadata: RunMetadata
    spec: RunSpec
    status: RunStatus


class RunPage(AnswerModel):
    """Some of the runs.

    Attributes:
      items: Newest first; there may be fewer than `limit`.
      next: Give it as `page` to get the items that follow; absent after the last.
    """

    items: list[Run]
    next: str | None = None


@dataclass(frozen=True)
class RunFilter:
    """The properties of the runs to list; None stands for any.

    Attributes:
      dataset: A name, or `name@sha256`.
      name: A part of the run's name.
    """

    state: State | None = None
    dataset: str | None = None
    name: str | None = None

    def includes(self, run: RunObject) -> bool:
        """Check state and dataset; the name can be checked before the run is read."""
        return self.state in (None, run.state) and (self.dataset is None or self.dataset in run.dataset_names)


class Runs:
    """All runs of a namespace, past ones included."""

    def __init__(self, cluster: RunsCluster, store: ObjectStore) -> None:
        self.cluster, self.store = cluster, store
        self._stored_runs = StoredRuns(store)

    def find(self, name: str) -> RunObject:
        """Return a run. Raises `Problem` 404."""
        if manifest := self.cluster.get(name):
            return RunObject(manifest)
        if run := self._stored_runs.read(name):
            return run
        raise Problem(404, f"there is no run {name}")

    def page(self, filter: RunFilter, limit: int, position: str | None) -> tuple[list[RunObject], str | None]:
        """Return the runs that follow a position, newest first, and the position of the next page."""
        last_entry = _parse_position(position) if position else None
        stored_entries = self._stored_runs.entries()  # read first: an entry without an object had one before
        runs = {run.entry: run for run in map(RunObject, self.cluster.list())}
        entries = _newest_first([*runs], stored_entries, last_entry, filter.name)
        items: list[RunObject] = []
        reads = 0
        while chunk := list(islice(entries, max(limit, _MIN_CHUNK))):
            unread_entries = [entry for entry in chunk if entry not in runs]
            runs |= self._read(unread_entries)
            reads += len(unread_entries)
            for entry in chunk:
                if entry in runs and filter.includes(runs[entry]):
                    items.append(runs[entry])
                if len(items) == limit:
                    return items, _position(entry)
            if reads >= _MAX_READS:
                return items, _position(chunk[-1])
        return items, None

    def _read(self, entries: list[Entry]) -> Mapping[Entry, RunObject]:
        runs = zip(entries, self._stored_runs.read_all(entries), strict=True)
        return {entry: run for entry, run in runs if run is not None}


def _newest_first(
    objects: Iterable[Entry], stored_entries: Iterable[Entry], last_entry: Entry | None, name_part: str | None
) -> Iterator[Entry]:
    """Yield the entry of each run once, only those before `last_entry`; of runs of one name, only the newest."""
    names: set[str] = set()
    for entry in heapq.merge(sorted(objects, reverse=True), sorted(stored_entries, reverse=True), reverse=True):
        name = entry[1]
        is_on_page = last_entry is None or entry < last_entry
        if name not in names and is_on_page and (name_part is None or name_part in name):
            yield entry
        names.add(name)


def _position(entry: Entry) -> str:
    return base64.urlsafe_b64encode(json.dumps(entry).encode()).decode().rstrip("=")


def _parse_position(text: str) -> Entry:
    try:
        created_at, name = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, TypeError):
        created_at = None
    if not isinstance(created_at, str) or not isinstance(name, str):
        detail = "not a page; give what an answer's next said, or nothing for the first"
        raise Problem(422, f"page: {detail}", errors=[FieldError(parameter="page", detail=detail)])
    return created_at, name
