"""What a model's JSON schema says of a field, with what its docstring says besides."""

import re
from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]

_ATTRIBUTE = re.compile(r"^ {2}(\w+): (.*(?:\n {4}.*)*)", re.MULTILINE)


def resolved(schema: Mapping[str, Any], definitions: Mapping[str, Schema]) -> Schema:
    """Put what is referred to, or is the alternative to null, in its place."""
    found = dict(schema)
    for kept in (a for a in found.pop("anyOf", []) if a != {"type": "null"}):
        found = kept | found
    if reference := found.pop("$ref", None):
        found = definitions[reference.rpartition("/")[2]] | found
    return found


def described(docstring: str) -> tuple[str, dict[str, str]]:
    """Split a docstring into its text and what it says of each field."""
    text, _, attributes = docstring.partition("\n\nAttributes:\n")
    told = {_camel(name): " ".join(said.split()) for name, said in _ATTRIBUTE.findall(attributes)}
    return " ".join(text.split()), told


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(map(str.capitalize, tail))
