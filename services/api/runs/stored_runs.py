"""The runs of the store, also those whose object is gone."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

from slipway import keys
from slipway.artifacts.json_io import read_document
from slipway.artifacts.outcome import RunRecord
from slipway.errors import BrokenDocument, MissingKey, SlipwayError, SpecError
from slipway.kube.objects import KubernetesObject
from slipway.run.pipeline import State
from slipway.run.run_file import load_run
from slipway.run.spec import TrainingRun
from slipway.store.interface import ObjectStore, in_parallel

from services.api.runs.run_object import Entry, RunObject

_MAX_AGE_SEC = 5.0  # of the list of runs; the cluster's objects are seen at once
_MAX_CACHED_RUNS = 5000
_TIME_LENGTH = len("2026-01-31T12:00:00Z")
_NO_RECORD = "its object is gone, and nothing recorded how it ended"


class StoredRuns:
    """Every run of the store, in the shape of its object.

    A run changes as long as it has an object. Without one it does not change any more, so it is read once and cached.
    """

    def __init__(self, store: ObjectStore, now: Callable[[], float] = time.monotonic) -> None:
        self._store, self._now = store, now
        self._cache_lock, self._list_lock = threading.Lock(), threading.Lock()
        self._entries: list[Entry] | SlipwayError = []
        self._listed_at = -_MAX_AGE_SEC
        self._cache: OrderedDict[Entry, RunObject | None] = OrderedDict()

    def entries(self) -> list[Entry]:
        """Return the time of creation and the name of each run."""
        with self._list_lock:  # one thread lists; the others wait for its result, and share its failure too
            if self._now() - self._listed_at >= _MAX_AGE_SEC:
                self._entries = self._list()
                self._listed_at = self._now()
            if isinstance(self._entries, SlipwayError):
                raise self._entries
            return self._entries

    def read_all(self, entries: Sequence[Entry]) -> list[RunObject | None]:
        """Return the runs of some entries; None for each that was removed from the store."""
        unread_entries = [entry for entry in entries if entry not in self._cache]
        runs = in_parallel(lambda entry: self.read(entry[1], entry[0]), unread_entries)
        for entry, run in zip(unread_entries, runs, strict=True):
            with self._cache_lock:
                self._cache[entry] = run
                if len(self._cache) > _MAX_CACHED_RUNS:
                    self._cache.popitem(last=False)
        return [self._cache.get(entry) for entry in entries]

    def read(self, name: str, created_at: str | None = None) -> RunObject | None:
        """Return one run, or None when the store has none of that name."""
        try:
            run = load_run(name, self._store)
        except (MissingKey, SpecError):
            return None
        record = self._record(run)
        created_at = created_at or self._created_at(name) or record.started_at
        manifest: KubernetesObject = {
            "metadata": {"name": name},
            "spec": run.spec.model_dump(mode="json", by_alias=True, exclude_none=True),
            "status": record.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude={"name", "uid"}),
        }
        if created_at is not None:
            manifest["metadata"]["creationTimestamp"] = created_at
        return RunObject(manifest)

    def _list(self) -> list[Entry] | SlipwayError:
        folder = keys.index("", "").rpartition("/")[0]
        try:
            names = [item.key.removeprefix(f"{folder}/") for item in self._store.scan(folder)]
        except SlipwayError as error:
            return error
        return [(name[:_TIME_LENGTH], name[_TIME_LENGTH + 1 :]) for name in names]

    def _created_at(self, name: str) -> str | None:
        return next((created_at for created_at, run in reversed(self.entries()) if run == name), None)

    def _record(self, run: TrainingRun) -> RunRecord:
        """Return the run's record; without an object it does not go on, so a record that is not final is changed."""
        name = run.metadata.name
        try:
            record = read_document(self._store, keys.record(name), RunRecord)
        except (MissingKey, BrokenDocument):  # without the controller, such as on a laptop, nothing writes a record
            is_done = self._store.stat(keys.result(name, run.spec.stages[-1])) is not None
            record = RunRecord(state=State.SUCCEEDED) if is_done else RunRecord()
        if record.is_final:
            return record
        return record.model_copy(update={"state": State.CANCELED, "reason": _NO_RECORD})
