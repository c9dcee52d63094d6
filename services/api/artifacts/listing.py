"""The files that a run has written."""

from pydantic import BaseModel

from slipway import keys
from slipway.store.interface import ObjectStore


class Artifact(BaseModel):
    """One file of a run.

    Attributes:
      path: Below the run's folder.
    """

    path: str
    bytes: int


def list_artifacts(store: ObjectStore, run: str) -> list[Artifact]:
    """Return every file of a run, by path."""
    folder = keys.run_folder(run)
    return [Artifact(path=item.key.removeprefix(f"{folder}/"), bytes=item.size) for item in store.scan(folder)]
