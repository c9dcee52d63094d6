"""The files that a run has written, and the lines of those that grow while it runs."""

import logging
from typing import TypeVar

from pydantic import BaseModel

from slipway import keys
from slipway.artifacts.json_io import parse_document
from slipway.errors import BrokenDocument, MissingKey
from slipway.events import event
from slipway.models import ArtifactModel
from slipway.store.interface import ObjectStore

D = TypeVar("D", bound=ArtifactModel)


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


def read_valid_lines(store: ObjectStore, key: str, model: type[D]) -> list[D]:
    """Read a document of JSON lines; empty when it was not written yet.

    A line that is cut short or damaged is left out and logged: the others are still worth showing.
    """
    try:
        lines = store.read(key).splitlines()
    except MissingKey:
        return []
    documents = []
    for number, line in enumerate(lines, start=1):
        try:
            documents.append(parse_document(line, f"{key} line {number}", model))
        except BrokenDocument as error:
            event("line_unreadable", logging.WARNING, reason=str(error))
    return documents
