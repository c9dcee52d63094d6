"""JSON schemas of models: resolves their references, and reads the descriptions of fields from docstrings."""

import re
from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]

_ATTRIBUTE = re.compile(r"^ {2}(\w+): (.*(?:\n {4}.*)*)", re.MULTILINE)


def resolve_schema(schema: Mapping[str, Any], definitions: Mapping[str, Schema]) -> Schema:
    """Return the schema with its reference, and its alternative to null, merged into it."""
    resolved_schema = dict(schema)
    for alternative in resolved_schema.pop("anyOf", []):
        if alternative != {"type": "null"}:
            resolved_schema = alternative | resolved_schema
    if reference := resolved_schema.pop("$ref", None):
        resolved_schema = definitions[reference.rpartition("/")[2]] | resolved_schema
    return resolved_schema


def split_docstring(docstring: str) -> tuple[str, dict[str, str]]:
    """Return a docstring's text, and the description of each field under the field's name in JSON."""
    text, _, attributes = docstring.partition("\n\nAttributes:\n")
    descriptions = {_camel(name): " ".join(lines.split()) for name, lines in _ATTRIBUTE.findall(attributes)}
    return " ".join(text.split()), descriptions


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(map(str.capitalize, tail))
