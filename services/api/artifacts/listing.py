"""What a run has written, as the API lists it."""

import json
from typing import Any

from pydantic import BaseModel

from slipway import keys
from slipway.errors import MissingKey
from slipway.store.interface import ObjectStore, in_parallel


class Artifact(BaseModel):
    """One file of a run.

    Attributes:
      path: Below the run's folder.
    """

    path: str
    bytes: int


def artifacts(store: ObjectStore, run: str) -> list[Artifact]:
    """Return every file of a run, by path."""
    folder = keys.run_folder(run)
    found = list(store.list(folder))
    sized = zip(found, in_parallel(store.size, found), strict=True)  # one may be deleted meanwhile
    return [Artifact(path=key.removeprefix(f"{folder}/"), bytes=size) for key, size in sized if size is not None]


def rows(store: ObjectStore, key: str) -> list[dict[str, Any]]:
    """Return what was written line by line; nothing where the key is not there yet."""
    try:
        return [json.loads(line) for line in store.read(key).splitlines()]
    except MissingKey:
        return []
