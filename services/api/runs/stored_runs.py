"""Runs as the store keeps them: those whose object is gone too."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from slipway import keys
from slipway.artifacts.untyped_json import read_json
from slipway.errors import MissingKey, SlipwayError, SpecError
from slipway.kube.objects import KubernetesObject, ObjectMeta
from slipway.run.pipeline import State
from slipway.run.run_file import load_run
from slipway.run.spec import TrainingRun
from slipway.store.interface import ObjectStore, in_parallel

_LISTED_SEC = 5.0  # how old the list may be; the cluster's objects are seen at once
_REMEMBERED = 5000
_TIME = len("2026-01-31T12:00:00Z")
_UNTOLD = "its object is gone, and nothing recorded how it ended"

Entry = tuple[str, str]  # when it was made, and its name


class History:
    """Every run that ever was, in the shape of its object.

    A run's object is what changes; once it is gone nothing does, so what was read is remembered.
    """

    def __init__(self, store: ObjectStore, now: Callable[[], float] = time.monotonic) -> None:
        self._store, self._now = store, now
        self._lock = threading.Lock()
        self._listing = threading.Lock()
        self._listed: list[Entry] | SlipwayError = []
        self._listed_at = -_LISTED_SEC
        self._remembered: OrderedDict[Entry, KubernetesObject | None] = OrderedDict()

    def entries(self) -> list[Entry]:
        """Return when each run was made, and its name."""
        with self._listing:  # one lists, the others wait for what it finds, and share its failure too
            if self._now() - self._listed_at >= _LISTED_SEC:
                self._listed = self._list()
                self._listed_at = self._now()
            if isinstance(self._listed, SlipwayError):
                raise self._listed
            return self._listed

    def runs(self, entries: Sequence[Entry]) -> list[KubernetesObject | None]:
        """Return the runs of some entries; None where the store knows no more of it."""
        unread = [entry for entry in entries if entry not in self._remembered]
        for entry, found in zip(unread, in_parallel(lambda entry: self.run(entry[1], entry[0]), unread), strict=True):
            with self._lock:
                self._remembered[entry] = found
                if len(self._remembered) > _REMEMBERED:
                    self._remembered.popitem(last=False)
        return [self._remembered.get(entry) for entry in entries]

    def run(self, name: str, made_at: str | None = None) -> KubernetesObject | None:
        """Return one run, or None when the store has none of that name."""
        try:
            asked = load_run(name, self._store)
        except (MissingKey, SpecError):
            return None
        spec = asked.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
        status = self._status(asked)
        made_at = made_at or next((at for at, run in reversed(self.entries()) if run == name), status.get("startedAt"))
        metadata: ObjectMeta = {"name": name}
        if made_at is not None:
            metadata["creationTimestamp"] = made_at
        return {"metadata": metadata, "spec": spec, "status": status}

    def _list(self) -> list[Entry] | SlipwayError:
        folder = keys.index("", "").rpartition("/")[0]
        try:
            names = [key.removeprefix(f"{folder}/") for key in self._store.list(folder)]
        except SlipwayError as error:
            return error
        return [(name[:_TIME], name[_TIME + 1 :]) for name in names]

    def _status(self, asked: TrainingRun) -> dict[str, Any]:
        """Return what was recorded; a run without an object goes on no more, whatever its record says."""
        name = asked.metadata.name
        try:
            status: dict[str, Any] = read_json(self._store, keys.record(name))
        except MissingKey:  # made by hand, or on somebody's machine
            is_done = self._store.size(keys.result(name, asked.spec.stages[-1])) is not None
            status = {"state": State.SUCCEEDED} if is_done else {}
        if not State(status.get("state", State.PENDING)).is_final:
            status |= {"state": State.CANCELED, "reason": _UNTOLD}
        return {key: value for key, value in status.items() if key not in ("name", "uid")}
