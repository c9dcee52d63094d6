"""The form of `/submit`, made from the JSON schema of a run: a field's name is its JSON pointer.

So whatever a run file can say can be typed, a problem's pointers say at which field it is shown, and a field that is
added to the schema is in the form.
"""

import json
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from starlette.exceptions import HTTPException

from slipway.http.problems import FieldError, pointer
from slipway.run.json_schema import Schema, resolve_schema, split_docstring
from slipway.store.interface import ObjectStore

from services.api.about.routes import presets
from services.api.datasets.listing import page_of_datasets
from services.api.runs.submit import RunRequest

_HIDDEN = {"/apiVersion", "/kind", "/spec/suspend", "/spec/cancel", "/spec/attempt"}
_FIRST = ("/metadata/name", "/spec/dataset/ref", "/spec/dataset/source", "/spec/train/preset", "/spec/train/steps")
_FIRST_LAST = "/spec/until"
_LABELS = {
    "/metadata/name": "Name",
    "/spec/dataset/ref": "Dataset",
    "/spec/dataset/source": "Or a source",
    "/spec/dataset/name": "Name of the dataset",
    "/spec/dataset/sha256": "SHA-256 of the source",
    "/spec/export/tflite": "TFLite",
    "/spec/train/gpus": "GPUs",
    "/spec/until": "Last stage",
}
_HELP = {
    "/metadata/name": "Small letters, digits and dashes; one is made up when it is empty.",
    "/spec/dataset/ref": "One that was ingested before.",
    "/spec/dataset/source": "An s3://bucket/prefix with annotated images, instead of a dataset.",
    "/spec/train/preset": "The size of the detector and how it is trained; chosen from GPUs and data when empty.",
    "/spec/train/steps": "Length of the training in steps of one batch; chosen from the data when empty.",
    "/spec/until": "The run ends after it.",
}
_CHOSEN = {
    f"/spec/train/{name}"
    for name in ("preset", "steps", "batchSize", "imageSize", "learningRate", "checkpointEvery", "initialCheckpoint")
}
_MOST_DATASETS = 200  # that can be chosen from; others are named by their page's button


@dataclass(frozen=True)
class Field:
    """One field of the form.

    Attributes:
      kind: `text`, `number`, `checkbox` or `select`.
      unset: What holds when it is left empty.
      value: What was typed; of a checkbox `on` or nothing.
      choices: Value to text.
    """

    pointer: str
    label: str
    help: str
    kind: str
    unset: str
    value: str
    choices: Mapping[str, str]
    schema: Schema
    error: str | None = None

    @property
    def id(self) -> str:
        return self.pointer.strip("/").replace("/", "-")

    @property
    def empty(self) -> str:
        """Say what an empty field without a default means."""
        return "chosen for you" if self.pointer in _CHOSEN else ""

    @property
    def is_touched(self) -> bool:
        """Say whether it is as nobody left it: a checkbox that is empty was emptied."""
        return self.value != self.unset and (self.value != "" or self.kind == "checkbox")


@dataclass(frozen=True)
class Group:
    """Fields that most leave as they are."""

    title: str
    help: str
    fields: list[Field]

    @property
    def is_open(self) -> bool:
        """Say whether something in it was typed, or is wrong."""
        return any(f.error or f.is_touched for f in self.fields)


@dataclass(frozen=True)
class FormView:
    """The form.

    Attributes:
      key: Of this submission: sent twice, it makes one run.
      errors: What is wrong and belongs to no field.
    """

    key: str
    first: list[Field]
    groups: list[Group]
    presets: list[Any]
    errors: list[str] = field(default_factory=list)


@cache
def _leaves() -> dict[str, tuple[Schema, str]]:
    """Return every field's schema and help, by pointer, in the order of the model."""
    schema = RunRequest.model_json_schema(by_alias=True)
    return {where: found for where, found in _walk(schema, schema["$defs"], []) if where not in _HIDDEN}


def _walk(schema: Schema, definitions: Mapping[str, Schema], path: list[str]) -> Iterator[tuple[str, Any]]:
    _, told = split_docstring(schema.get("description", ""))
    for name, inner in schema["properties"].items():
        found, where = resolve_schema(inner, definitions), [*path, name]
        if "properties" in found:
            yield from _walk(found, definitions, where)
        else:
            yield pointer(where), (found, told.get(name, ""))


def form(store: ObjectStore, given: Mapping[str, str], problem: HTTPException | None = None) -> FormView:
    """Return the form, with what was typed and what is wrong with it."""
    errors = _errors(problem)
    is_sent = problem is not None
    choices = {
        "/spec/dataset/ref": _datasets(store, given.get("/spec/dataset/ref", "")),
        "/spec/train/preset": {preset.name: f"{preset.name} · {preset.summary}" for preset in presets()},
    }
    fields = {
        where: _field(where, (given.get(where, ""), is_sent), choices.get(where), errors.pop(where, None))
        for where in _leaves()
    }
    first = [fields.pop(where) for where in (*_FIRST, _FIRST_LAST)]
    return FormView(
        key=given.get("key") or secrets.token_hex(16),
        first=first,
        groups=_groups(fields),
        presets=presets(),
        errors=[*errors.values()],
    )


def body(given: Mapping[str, str]) -> bytes:
    """Return the run file that was typed; what was left empty is left out."""
    run: dict[str, Any] = {"spec": {"dataset": {}}}
    for where, (schema, _) in _leaves().items():
        text = given.get(where, "").strip()
        is_switch = schema.get("type") == "boolean"
        if text or is_switch:
            *path, name = where.strip("/").split("/")
            at = run
            for part in path:
                at = at.setdefault(part, {})
            at[name] = bool(text) if is_switch else text
    return json.dumps(run).encode()


def _field(where: str, typed: tuple[str, bool], choices: Mapping[str, str] | None, error: str | None) -> Field:
    (schema, told), (value, is_sent) = _leaves()[where], typed
    kind = {"integer": "number", "number": "number", "boolean": "checkbox"}.get(schema["type"], "text")
    default = schema.get("default")
    unset = "" if default is None else str(default)
    if choices is None and "enum" in schema:
        choices = {str(value): str(value) for value in schema["enum"]}
    if kind == "checkbox":
        unset = "on" if default else ""
        value = value if is_sent else unset
    name = where.rpartition("/")[2]
    return Field(
        pointer=where,
        label=_LABELS.get(where) or re.sub(r"([A-Z])", r" \1", name).lower().capitalize(),
        help=_HELP.get(where, told.replace("`", "")),  # of a docstring; a page has no use for them
        kind="select" if choices is not None else kind,
        unset=unset,
        value=value,
        choices=choices or {},
        schema=schema,
        error=error,
    )


def _groups(fields: Mapping[str, Field]) -> list[Group]:
    """Put the fields of one part of the spec together, under what its docstring says of it."""
    definitions = RunRequest.model_json_schema(by_alias=True)["$defs"]
    parts = definitions["RunSpec"]["properties"]
    groups = []
    for part, schema in parts.items():
        own = [field for where, field in fields.items() if where.split("/")[2] == part]
        if own:
            said, _ = split_docstring(resolve_schema(schema, definitions).get("description", ""))
            groups.append(Group(part.capitalize(), said.partition(";")[0].rstrip("."), own))
    return groups


def _datasets(store: ObjectStore, chosen: str) -> dict[str, str]:
    found = page_of_datasets(store, _MOST_DATASETS, None).items
    named = {one.ref: f"{one.name}@{one.sha256[:8]} · {one.images:,} images, {one.boxes:,} boxes" for one in found}
    return named if chosen in named or not chosen else {chosen: chosen} | named


def _errors(problem: HTTPException | None) -> dict[str, str]:
    """Return what is wrong by pointer; what is about no field has an empty one, or its own."""
    if problem is None:
        return {}
    if getattr(problem, "kind", None) == "name-taken":
        return {"/metadata/name": str(problem.detail)}
    wrong: list[FieldError] = getattr(problem, "errors", [])
    return {error.pointer or "": _said(error) for error in wrong} or {"": str(problem.detail)}


def _said(error: FieldError) -> str:
    return f"{error.detail}; choose one of {', '.join(error.valid)}" if error.valid else error.detail
