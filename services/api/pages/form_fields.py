"""The fields of a run as those of a form: the name of a field is its JSON pointer in the run file."""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import yaml

from slipway.http.problems import pointer as json_pointer
from slipway.run.json_schema import Schema, resolve_schema, split_docstring

from services.api.runs.submit import RunRequest

SWITCH_CHOICES = {"true": "on", "false": "off"}  # of a boolean that may be absent, which a checkbox cannot be
_OMITTED_FIELDS = {"/apiVersion", "/kind", "/spec/suspend", "/spec/cancel", "/spec/attempt"}
_KINDS = {"integer": "number", "number": "number", "boolean": "checkbox", "object": "yaml"}


class FieldSchema(NamedTuple):
    """The JSON schema of a field, and the text about it in the docstring of its model."""

    schema: Schema
    help: str


def run_file(values: Mapping[str, str]) -> bytes:
    """Return the run file of the user's input; empty fields are left out."""
    run: dict[str, Any] = {"spec": {"dataset": {}}}
    for pointer, (schema, _) in field_schemas().items():
        text = values.get(pointer, "").strip()
        is_checkbox = kind_of_field(schema) == "checkbox"
        if text or is_checkbox:
            *path, name = pointer.strip("/").split("/")
            parent = run
            for part in path:
                parent = parent.setdefault(part, {})
            parent[name] = bool(text) if is_checkbox else _object(text) if schema.get("type") == "object" else text
    return json.dumps(run, default=str).encode()


def kind_of_field(schema: Schema) -> str:
    """Return `text`, `number`, `checkbox`, `switch` for a boolean that may be absent, or `yaml` for an object."""
    kind = _KINDS.get(schema.get("type", ""), "text")
    return "switch" if kind == "checkbox" and schema.get("default") is None else kind


def _object(text: str) -> Any:
    """Parse the YAML of an object; a text that is not YAML stays a text, which the check of the run refuses."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


@cache
def run_schema() -> Schema:
    return RunRequest.model_json_schema(by_alias=True)


def resolve_reference(schema: Schema) -> Schema:
    return resolve_schema(schema, run_schema().get("$defs", {}))


@cache
def field_schemas() -> dict[str, FieldSchema]:
    """Return the schema of every field, by pointer, in the order of the model."""
    return {pointer: schema for pointer, schema in _walk(run_schema(), []) if pointer not in _OMITTED_FIELDS}


def _walk(schema: Schema, path: Sequence[str]) -> Iterator[tuple[str, FieldSchema]]:
    _, help_texts = split_docstring(schema.get("description", ""))
    for name, reference in schema.get("properties", {}).items():
        field_schema, field_path = resolve_reference(reference), [*path, name]
        is_optional = "anyOf" in reference  # an object that may be absent is one field, in YAML
        if "properties" in field_schema and not is_optional:
            yield from _walk(field_schema, field_path)
        else:
            yield json_pointer(field_path), FieldSchema(field_schema, help_texts.get(name, ""))
