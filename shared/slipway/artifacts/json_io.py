"""Reads and writes the documents of the store, each checked against its model."""

import json
import logging
from collections.abc import Iterable
from typing import Any, TypeVar

from pydantic import ValidationError

from slipway.errors import BrokenDocument, MissingKey
from slipway.events import event
from slipway.models import ArtifactModel, broken, validate
from slipway.store.interface import ObjectStore

D = TypeVar("D", bound=ArtifactModel)


def read_document(store: ObjectStore, key: str, model: type[D]) -> D:
    """Read one document.

    Raises:
      MissingKey: It was not written yet.
      BrokenDocument: It is not JSON, or a field is missing or has another type; the message names key and field.
    """
    return parse_document(store.read(key), key, model)


def read_optional(store: ObjectStore, key: str, model: type[D]) -> D | None:
    """Read one document, or return None when it was not written yet. Raises `BrokenDocument`."""
    try:
        content = store.read(key)
    except MissingKey:
        return None
    return parse_document(content, key, model)


def write_document(store: ObjectStore, key: str, document: ArtifactModel) -> None:
    """Create or replace one document."""
    store.write(key, document.encode())


def read_lines(store: ObjectStore, key: str, model: type[D]) -> list[D]:
    """Read a document of JSON lines, in order; empty when it was not written yet. Raises `BrokenDocument`."""
    return [parse_document(line, f"{key} line {n}", model) for n, line in enumerate(_lines(store, key), start=1)]


def read_valid_lines(store: ObjectStore, key: str, model: type[D]) -> list[D]:
    """Read a document of JSON lines, leaving out and logging those that are damaged: the others are worth showing."""
    documents = []
    for number, line in enumerate(_lines(store, key), start=1):
        try:
            documents.append(parse_document(line, f"{key} line {number}", model))
        except BrokenDocument as error:
            event("line_unreadable", logging.WARNING, reason=str(error))
    return documents


def read_last_line(store: ObjectStore, key: str, model: type[D]) -> D | None:
    """Read the last of a document's JSON lines, or return None when there is none. Raises `BrokenDocument`."""
    lines = _lines(store, key)
    return parse_document(lines[-1], f"{key} line {len(lines)}", model) if lines else None


def write_lines(store: ObjectStore, key: str, documents: Iterable[ArtifactModel]) -> None:
    """Create or replace a document of JSON lines."""
    store.write(key, b"".join(document.encode_line() for document in documents))


def parse_document(content: bytes, source: str, model: type[D]) -> D:
    """Check the bytes of one document, which were read from `source`. Raises `BrokenDocument`."""
    try:
        return model.model_validate_json(content)  # twice as fast as what follows
    except ValidationError:
        # Pydantic's parser accepts no lone surrogates, which represent the bytes of a file name that is not UTF-8.
        return validate(model, parse_json(content, source), source)


def parse_json(content: bytes, source: str) -> Any:
    """Parse JSON whose form is not known. Raises `BrokenDocument`."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise broken(source, f"is not JSON ({error})") from error


def _lines(store: ObjectStore, key: str) -> list[bytes]:
    try:
        return store.read(key).splitlines()
    except MissingKey:
        return []
