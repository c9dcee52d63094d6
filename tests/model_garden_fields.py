"""Write Model Garden's RetinaNet experiments and the types of their fields: `python tests/model_garden_fields.py FILE`.

`make model-garden` writes `shared/slipway/run/model_garden.json`. Lists of groups of fields are left out, and so are
fields that may hold any mapping: nothing could check them.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

ORDER = ("null", "bool", "int", "float", "str")  # a value gets the first of a field's types that takes it


def model_garden_fields() -> dict[str, Any]:
    """Return the names of the experiments, and the type of every dotted key that one of them has."""
    from official.core import exp_factory
    from official.vision.configs import retinanet as _experiments  # noqa: F401  # registers them

    names = sorted(name for name in exp_factory._REGISTERED_CONFIGS if name.startswith("retinanet"))
    fields: dict[str, str] = {}
    for name in names:
        fields |= dict(_fields(exp_factory.get_exp_config(name), ""))
    return {"experiments": names, "fields": dict(sorted(fields.items()))}


def dump(content: dict[str, Any]) -> str:
    """Return the JSON, one field a line."""
    return json.dumps(content, indent=1) + "\n"


def _fields(config: Any, prefix: str) -> Iterator[tuple[str, str]]:
    from official.modeling.hyperparams import OneOfConfig

    hints = type(config)._get_annotations()
    for name, hint in hints.items():
        key, value = f"{prefix}{name}", getattr(config, name)
        group = value if _is_group(type(value)) else _optional_group(hint)
        if group is not None:
            yield from _fields(group, f"{key}.")
        kinds = _kinds(hint) if group is None or NoneType in get_args(hint) else []
        if isinstance(config, OneOfConfig) and name == "type":
            kinds = [kind for kind in kinds if kind != "str"] + [f"'{choice}'" for choice in hints if choice != "type"]
        if kinds:
            yield key, " | ".join(kinds)


def _is_group(hint: Any) -> bool:
    from official.modeling.hyperparams import Config

    return isinstance(hint, type) and issubclass(hint, Config) and hint is not Config


def _optional_group(hint: Any) -> Any:
    """Return an instance of the group that an empty field may hold."""
    return next((one() for one in get_args(hint) if _is_group(one)), None) if _is_union(hint) else None


def _kinds(hint: Any) -> list[str]:
    """Return the types of single values and of lists that a hint allows."""
    if _is_union(hint):
        kinds = {kind for one in get_args(hint) for kind in _kinds(one)}
        kinds = kinds if kinds != {"null"} or _has_group(hint) else set()
        return sorted(kinds, key=lambda kind: ORDER.index(kind) if kind in ORDER else len(ORDER))
    if hint is NoneType:
        return ["null"]
    if hint in (bool, int, float, str):
        return [hint.__name__]
    if get_origin(hint) in (list, tuple, Sequence):
        return [f"list[{kind}]" for kind in _kinds(get_args(hint)[0])]
    return []


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, UnionType)


def _has_group(hint: Any) -> bool:
    return any(_is_group(one) for one in get_args(hint))


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(dump(model_garden_fields()))
