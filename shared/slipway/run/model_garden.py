"""Fields of Model Garden's experiments that a run may set, under their dotted keys, and the check of their values.

The names and types are those of `model_garden.json`, which is generated (`make model-garden`), so that the command and
the API refuse a misspelled key before anything runs, and without TensorFlow.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from typing import Annotated, Any

import yaml
from pydantic import BeforeValidator

from slipway.errors import SpecError

LEARNING_RATE = "trainer.optimizer_config.learning_rate.cosine.initial_learning_rate"

_TABLE = resources.files("slipway.run") / "model_garden.json"
_MOST_NAMES = 3  # in a message
_RECORDS = "a run trains on the records of its dataset"
_FIXED_VALUE = "Slipway needs the value that it has"
_NO_EFFECT = "it has no effect in Slipway"
# Pattern of keys to the reason why a run may not set them; the first pattern that matches decides, and None allows it.
_RULES: Mapping[str, str | None] = {
    "task.model.num_classes": "it follows from the labels of the dataset",
    "task.model.input_size": "use --image-size (train.imageSize)",
    "task.train_data.global_batch_size": "use --batch-size (train.batchSize)",
    "task.init_checkpoint": "use --initial-checkpoint (train.initialCheckpoint)",
    "trainer.train_steps": "use --steps (train.steps)",
    "trainer.checkpoint_interval": "use --checkpoint-every (train.checkpointEvery)",
    "runtime.num_gpus": "use --gpus (train.gpus)",
    "task.*_data.parser.max_num_instances": "it follows from the image with the most boxes",
    "task.*_data.is_training": _FIXED_VALUE,
    "task.validation_data.drop_remainder": _FIXED_VALUE,
    "task.use_coco_metrics": _FIXED_VALUE,
    "task.*_data.input_path": _RECORDS,
    "task.*_data.file_type": _RECORDS,
    "task.*_data.decoder.*": _RECORDS,
    "task.*_data.tfds_*": _RECORDS,
    "task.*_data.*tf_data_service*": "Slipway starts no tf.data service",
    "task.*_data.trainer_id": _NO_EFFECT,
    "task.*_data.parser.aug_policy": _NO_EFFECT,
    "task.allow_image_summary": _NO_EFFECT,
    "task.annotation_file": _NO_EFFECT,
    "task.differential_privacy_config*": _NO_EFFECT,
    "task.export_config.*": _NO_EFFECT,
    "task.max_num_eval_detections": _NO_EFFECT,
    "task.name": _NO_EFFECT,
    "task.per_category_metrics": _NO_EFFECT,
    "task.use_wod_metrics": _NO_EFFECT,
    "trainer.optimizer_config.ema*": "Slipway measures and exports the weights themselves, not their average",
    "trainer.optimizer_config.*": None,
    "trainer.train_tf_*": _FIXED_VALUE,
    "trainer.*": _NO_EFFECT,
    "runtime.mixed_precision_dtype": None,
    "runtime.loss_scale": None,
    "runtime.*": _NO_EFFECT,
}
_KINDS = {"bool": "true or false", "int": "an integer", "float": "a number", "str": "text", "null": "null"}


@dataclass(frozen=True)
class ModelGardenTable:
    """Content of `model_garden.json`.

    Attributes:
      experiments: Names of the experiments that a preset may change.
      fields: Dotted key to its type: alternatives such as `float | null`, `list[int]`, or words in quotes.
    """

    experiments: tuple[str, ...]
    fields: Mapping[str, str]


def _checked_or_none(value: Any) -> Any:
    return (check_overrides(value) or None) if isinstance(value, Mapping) else value


Overrides = Annotated[dict[str, Any] | None, BeforeValidator(_checked_or_none)]


@cache
def table() -> ModelGardenTable:
    """Return the fields of all RetinaNet experiments of Model Garden."""
    content = json.loads(_TABLE.read_text())
    return ModelGardenTable(tuple(content["experiments"]), content["fields"])


def check_overrides(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values under their dotted keys, each converted to the type of its field.

    Args:
      overrides: Dotted keys, nested mappings, or both.

    Raises:
      SpecError: A key does not exist or may not be set, or a value has another type; the message names each, and the
        nearest keys that exist.
    """
    values, faults = {}, []
    for key, value in flatten(overrides).items():
        try:
            values[key] = _check(key, value)
        except SpecError as error:
            faults.append(str(error))
    pairs = [(key, name) for key, value in values.items() if value is None for name in values]
    faults += [f"{key} is null, but {name} is a field of it" for key, name in pairs if name.startswith(f"{key}.")]
    if faults:
        raise SpecError("; ".join(faults))
    return values


def parse_assignments(assignments: Iterable[str]) -> dict[str, Any]:
    """Read and check the values of `--set KEY=VALUE`, which are YAML; of two with the same key, the last one counts.

    Raises:
      SpecError: A text has no `=`, its value is not YAML, or `check_overrides` refuses it.
    """
    values = {}
    for text in assignments:
        key, equals, value = (part.strip() for part in text.partition("="))
        if not key or not equals:
            raise SpecError(f"--set {text}: expected KEY=VALUE, such as task.losses.focal_loss_gamma=2")
        try:
            values[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise SpecError(f"--set {text}: the value is not YAML; put special characters in quotes") from error
    try:
        return check_overrides(values)
    except SpecError as error:
        raise SpecError(f"--set: {error}") from error


def flatten(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested mappings as one mapping of dotted keys."""
    return dict(_leaves(overrides, ""))


def nest(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return dotted keys as nested mappings, the form that Model Garden takes."""
    nested: dict[str, Any] = {}
    for key, value in overrides.items():
        *groups, name = key.split(".")
        group = nested
        for part in groups:
            if not isinstance(group.get(part), dict):  # new, or null before
                group[part] = {}
            group = group[part]
        group[name] = value
    return nested


def nearest_names(word: str, words: Iterable[str]) -> str:
    """Return the words most like a misspelled one, the best first, as the end of a sentence."""
    names = sorted(words, key=lambda name: _likeness(word, name), reverse=True)
    return ", ".join(names[:_MOST_NAMES])


def _leaves(overrides: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in overrides.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _likeness(word: str, name: str) -> float:
    """Return how like two dotted keys are, from 0 to 2: as a whole, and in their last part, which users remember."""
    last = SequenceMatcher(None, word.rpartition(".")[2], name.rpartition(".")[2]).ratio()
    return last + SequenceMatcher(None, word, name).ratio()


def _check(key: str, value: Any) -> Any:
    fields = table().fields
    if key not in fields:
        names = [name for name in _settable_keys() if name.startswith(f"{key}.")]
        fault = "is a group of fields; name one" if names else "is not a field of Model Garden's configuration"
        raise SpecError(f"{key} {fault}; nearest: {nearest_names(key, names or _settable_keys())}")
    if reason := _reserved(key):
        raise SpecError(f"{key} cannot be set: {reason}")
    kinds = fields[key].split(" | ")
    for kind in kinds:
        try:
            return _convert(value, kind)
        except (TypeError, ValueError, OverflowError):
            continue
    raise SpecError(f"{key} is {value!r}, expected {_describe(value, kinds)}")


@cache
def _settable_keys() -> tuple[str, ...]:
    return tuple(key for key in table().fields if _reserved(key) is None)


def _reserved(key: str) -> str | None:
    return next((reason for pattern, reason in _RULES.items() if fnmatchcase(key, pattern)), None)


def _convert(value: Any, kind: str) -> Any:
    """Return the value as JSON and YAML keep it; numbers as text, such as YAML's 1e-3, become numbers.

    Raises:
      TypeError, ValueError, OverflowError: It has another type.
    """
    if kind.startswith("list["):
        if not isinstance(value, list | tuple):
            raise TypeError
        return [_convert(item, kind.removeprefix("list[").removesuffix("]")) for item in value]
    if isinstance(value, bool) != (kind == "bool") or (value is None) != (kind == "null"):
        raise TypeError
    match kind:
        case "float":
            return _finite(float(value))
        case "int":
            number = _finite(float(value))
            if number != int(number):
                raise ValueError
            return int(number)
        case "str" if isinstance(value, str | int):  # text of digits, such as a model's number, needs no quotes
            return str(value)
        case "bool" | "null":
            return value
    if kind == f"'{value}'":
        return value
    raise ValueError


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise ValueError
    return number


def _describe(value: Any, kinds: list[str]) -> str:
    """Return the types as words; of a choice of words the nearest ones are named."""
    words = [kind.strip("'") for kind in kinds if kind.startswith("'")]
    if words:
        return f"one of {', '.join(words)} (nearest: {nearest_names(str(value), words)})"
    return " or ".join(_describe_kind(kind) for kind in kinds)


def _describe_kind(kind: str) -> str:
    inner = kind.removeprefix("list[").removesuffix("]")
    return _KINDS[kind] if inner == kind else f"a list, each item {_KINDS[inner]}"
