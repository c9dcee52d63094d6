"""Runs as the API answers them: from their objects, and from the store where those are gone."""

import base64
import heapq
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from slipway import API_VERSION
from slipway.digests import sha256_json
from slipway.http.problems import FieldError, Problem
from slipway.kube.objects import KubernetesObject
from slipway.run.names import slug
from slipway.run.pipeline import State
from slipway.run.spec import RunSpec
from slipway.store.interface import ObjectStore

from services.api.kube.runs import RunsCluster
from services.api.runs.stored_runs import Entry, History

OWNER = "slipway.dev/owner"
_CHUNK = 16
_READ_AT_ONCE = 200  # runs of the store that a page may have to read; a page that is short for it says how to go on


class _Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class RunMetadata(_Model):
    """Which run it is.

    Attributes:
      created_at: RFC 3339, in UTC.
      owner: Who submitted it over HTTP.
    """

    name: str
    created_at: str | None = None
    owner: str | None = None


class RunStatus(_Model):
    """How the run stands; besides the state, what the controller has to say."""

    model_config = ConfigDict(extra="allow")

    state: State


class Run(_Model):
    """A TrainingRun as the cluster, or once its object is gone the store, holds it."""

    api_version: str = API_VERSION
    kind: str = "TrainingRun"
    metadata: RunMetadata
    spec: RunSpec
    status: RunStatus


class RunPage(_Model):
    """Some of the runs.

    Attributes:
      items: Newest first; there may be fewer than were asked for.
      next: Give it as `page` to get the items that follow; absent after the last.
    """

    items: list[Run]
    next: str | None = None


@dataclass(frozen=True)
class Wanted:
    """Which runs are asked for; what is None does not matter.

    Attributes:
      dataset: A name, or `name@sha256`.
      name: A part of the run's name.
    """

    state: State | None = None
    dataset: str | None = None
    name: str | None = None

    def is_met_by(self, found: KubernetesObject) -> bool:
        return (self.state is None or state_of(found) is self.state) and (
            self.dataset is None or self.dataset in datasets_of(found)
        )


class Runs:
    """Every run there is or was."""

    def __init__(self, cluster: RunsCluster, store: ObjectStore) -> None:
        self.cluster, self.store = cluster, store
        self._history = History(store)

    def find(self, name: str) -> KubernetesObject:
        """Return a run. Raises `Problem` 404."""
        found = self.cluster.get(name) or self._history.run(name)
        if found is None:
            raise Problem(404, f"there is no run {name}")
        return found

    def page(self, wanted: Wanted, limit: int, after: str | None) -> tuple[list[KubernetesObject], str | None]:
        """Return the runs that follow `after`, newest first, and where the next page begins."""
        last = _parse_page(after) if after else None
        entries = self._history.entries()  # before the objects: what is listed and has no object had one before
        objects = {_entry(found): found for found in self.cluster.list()}
        ordered = _newest_first(entries, objects, last, wanted.name)
        items: list[KubernetesObject] = []
        read = 0
        while chunk := list(islice(ordered, max(limit, _CHUNK))):
            gone = [entry for entry in chunk if entry not in objects]
            objects |= {e: run for e, run in zip(gone, self._history.runs(gone), strict=True) if run is not None}
            read += len(gone)
            for entry in chunk:
                if entry in objects and wanted.is_met_by(objects[entry]):
                    items.append(objects[entry])
                if len(items) == limit:
                    return items, _page(entry)
            if read >= _READ_AT_ONCE:
                return items, _page(chunk[-1])
        return items, None


def shown(found: KubernetesObject) -> dict[str, Any]:
    """Return the answer's `Run`."""
    metadata = found["metadata"]
    own = {"name": metadata["name"], "createdAt": metadata.get("creationTimestamp"), "owner": owner(metadata)}
    return {
        "apiVersion": API_VERSION,
        "kind": "TrainingRun",
        "metadata": {key: value for key, value in own.items() if value is not None},
        "spec": found["spec"],
        "status": {"state": State.PENDING, **found.get("status", {})},
    }


def etag(found: KubernetesObject) -> str:
    """Return another text whenever the run is another."""
    version = found["metadata"].get("resourceVersion")
    return f'"{version}"' if version else f'"gone-{sha256_json(shown(found))[:16]}"'


def state_of(found: KubernetesObject) -> State:
    return State(found.get("status", {}).get("state", State.PENDING))


def is_over(found: KubernetesObject) -> bool:
    """Say whether nothing more will happen: its object is gone, or it has ended and no later attempt is asked for."""
    if "resourceVersion" not in found["metadata"]:
        return True
    return state_of(found).is_final and attempts_asked(found) <= found["status"].get("attempt", 1)


def attempts_asked(found: KubernetesObject) -> int:
    return int(found["spec"].get("attempt", 1))


def datasets_of(found: KubernetesObject) -> set[str]:
    """Return what the run's dataset may be called: its name, and `name@sha256` once it is known."""
    asked = found["spec"]["dataset"]
    made = found.get("status", {}).get("artifacts", {}).get("dataset", "")  # datasets/<name>/<sha256>
    ref = asked.get("ref") or "@".join(made.split("/")[1:])
    if ref:
        return {ref, ref.partition("@")[0]}
    return {asked.get("name") or slug(asked.get("source", "").rstrip("/").rpartition("/")[2])}


def owner(metadata: Mapping[str, Any]) -> str | None:
    """Return who submitted the run over HTTP."""
    name: str | None = metadata.get("annotations", {}).get(OWNER)
    return name


def _entry(found: KubernetesObject) -> Entry:
    return found["metadata"]["creationTimestamp"], found["metadata"]["name"]


def _newest_first(
    entries: Iterable[Entry], objects: Mapping[Entry, KubernetesObject], last: Entry | None, part: str | None
) -> Iterator[Entry]:
    """Yield each run once, the ones before `last` only; a name that was used again stands for its newest run."""
    seen: set[str] = set()
    for entry in heapq.merge(sorted(objects, reverse=True), sorted(entries, reverse=True), reverse=True):
        name = entry[1]
        if name not in seen and (last is None or entry < last) and (part is None or part in name):
            yield entry
        seen.add(name)


def _page(entry: Entry) -> str:
    return base64.urlsafe_b64encode(json.dumps(entry).encode()).decode().rstrip("=")


def _parse_page(text: str) -> Entry:
    try:
        made_at, name = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, TypeError):
        made_at = None
    if not isinstance(made_at, str) or not isinstance(name, str):
        said = "not a page; give what an answer's next said, or nothing for the first"
        raise Problem(422, f"page: {said}", errors=[FieldError(parameter="page", detail=said)])
    return made_at, name
