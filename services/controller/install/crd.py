"""The custom resource `TrainingRun`; its schema is that of `RunSpec` and `RunStatus`, flattened."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from slipway.artifacts.outcome import RunStatus
from slipway.kube.names import GROUP, PLURAL, VERSION
from slipway.run.json_schema import Schema, resolve_schema, split_docstring
from slipway.run.spec import RunSpec

_MAY_CHANGE = ("suspend", "cancel", "attempt")
_KEYWORDS = (
    "type",
    "enum",
    "default",
    "pattern",
    "minimum",
    "maximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "required",
)
_COLUMNS = (
    ("Stage", "string", ".status.stage"),
    ("State", "string", ".status.state"),
    ("Progress", "string", ".status.progress"),
    ("AP50", "number", ".status.best.AP50"),
    ("Age", "date", ".metadata.creationTimestamp"),
)


def crd() -> dict[str, Any]:
    """Return the CustomResourceDefinition."""
    names = {"kind": "TrainingRun", "listKind": "TrainingRunList", "plural": PLURAL, "singular": "trainingrun"}
    columns = [{"name": name, "type": kind, "jsonPath": path} for name, kind, path in _COLUMNS]
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": columns,
        "schema": {"openAPIV3Schema": _envelope()},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": names | {"shortNames": ["trun"], "categories": ["slipway"]},
            "scope": "Namespaced",
            "versions": [version],
        },
    }


def flatten(model: type[BaseModel]) -> Schema:
    """Return a model's schema as a structural one, without references, nulls and closed objects."""
    schema = model.model_json_schema(by_alias=True)
    return _flat(schema, schema.get("$defs", {}))


def _envelope() -> Schema:
    spec = flatten(RunSpec)
    spec["x-kubernetes-validations"] = _immutable(spec["properties"])
    spec["properties"]["dataset"]["x-kubernetes-validations"] = [
        {"rule": "has(self.source) != has(self.ref)", "message": "give either source or ref"}
    ]
    return {
        "type": "object",
        "description": "A folder of annotated images to be turned into a trained, measured, exported detector.",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": flatten(RunStatus),
        },
        "x-kubernetes-validations": [
            {"rule": "size(self.metadata.name) <= 52", "message": "a run's name has at most 52 characters"},
            {"rule": "!self.metadata.name.contains('.')", "message": "a run's name has no dots"},
        ],
    }


def _immutable(properties: Mapping[str, Schema]) -> list[dict[str, str]]:
    """Return a rule for each field that may not change, and one for the attempt, which may only rise."""
    rules = []
    for name, schema in properties.items():
        same = f"self.{name} == oldSelf.{name}"
        if "default" not in schema and name != "dataset":
            same = f"has(self.{name}) == has(oldSelf.{name}) && (!has(self.{name}) || {same})"
        if name not in _MAY_CHANGE:
            message = f"{name} cannot change: only {', '.join(_MAY_CHANGE)} can; give the new run another name"
            rules.append({"rule": same, "message": message})
    return [*rules, {"rule": "self.attempt >= oldSelf.attempt", "message": "attempt may only rise"}]


def _flat(schema: Mapping[str, Any], definitions: Mapping[str, Schema]) -> Schema:
    schema = resolve_schema(schema, definitions)
    summary, attributes = split_docstring(schema.get("description", ""))
    flat = {key: schema[key] for key in _KEYWORDS if schema.get(key) is not None}
    for bound in ("minimum", "maximum"):
        exclusive = f"exclusive{bound.capitalize()}"
        if exclusive in schema:
            flat |= {bound: schema[exclusive], exclusive: True}
    for inner in ("items", "additionalProperties"):
        if isinstance(schema.get(inner), dict):
            flat[inner] = _flat(schema[inner], definitions)
    if schema.get("additionalProperties") is True:
        flat["x-kubernetes-preserve-unknown-fields"] = True
    if "properties" in schema:
        properties = {name: _flat(inner, definitions) for name, inner in schema["properties"].items()}
        flat["properties"] = {
            name: inner | ({"description": attributes[name]} if name in attributes else {})
            for name, inner in properties.items()
        }
        if "default" in flat:
            flat["default"] = {}  # its fields have defaults of their own
    return flat | ({"description": summary} if summary else {})
