"""The form of `/submit`, made from the JSON schema of a run: the name of a field is its JSON pointer.

So the form has every field of a run file, also those that are added later, and a problem is shown at the fields that
its pointers name.
"""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.exceptions import HTTPException

from slipway.errors import TransientError
from slipway.http.problems import FieldError
from slipway.run.json_schema import Schema, split_docstring
from slipway.run.names import STAGES
from slipway.run.packaged_weights import PACKAGED_WEIGHTS
from slipway.run.pipeline import State
from slipway.store.interface import ObjectStore
from slipway.text import format_bytes
from slipway.weights.sources import RUN_PREFIX
from slipway.weights.stored import list_kept

from services.api.about.routes import PresetAnswer, presets
from services.api.datasets.listing import page_of_datasets
from services.api.pages.form_fields import SWITCH_CHOICES, field_schemas, kind_of_field, resolve_reference, run_schema
from services.api.runs.listing import RunFilter, Runs

_MAIN_SPEC_FIELDS = ("dataset/ref", "dataset/source", "train/preset", "train/steps", "until")
_MAIN_FIELDS = ("/metadata/name", *(f"/spec/{field}" for field in _MAIN_SPEC_FIELDS))
_LABELS = {
    "/metadata/name": "Name",
    "/spec/dataset/ref": "Dataset",
    "/spec/dataset/source": "Or a source",
    "/spec/dataset/name": "Name of the dataset",
    "/spec/dataset/sha256": "SHA-256 of the source",
    "/spec/export/tflite": "TFLite",
    "/spec/train/customPreset": "A preset of your own",
    "/spec/train/gpus": "GPUs",
    "/spec/train/overrides": "Fields of Model Garden",
    "/spec/until": "Last stage",
}
_HELP = {
    "/metadata/name": "Lowercase letters, digits and dashes; chosen for you when empty.",
    "/spec/dataset/ref": "A dataset that was ingested before.",
    "/spec/dataset/source": "An s3://bucket/prefix with annotated images, instead of a dataset.",
    "/spec/train/preset": "The size of the detector and how it is trained; chosen from GPUs and data when empty.",
    "/spec/train/steps": "Length of the training in steps of one batch; chosen from the data when empty.",
    "/spec/train/initialCheckpoint": "scratch, or pretrained weights: one of the list, s3://bucket/prefix, "
    "the https:// address of a .tar.gz, or run:NAME.",
    "/spec/train/customPreset": "YAML with the fields of a preset, such as base: NAME and those that differ from it.",
    "/spec/train/augment": "One key: value a line: flip, scale, crop, colour, mosaic; the others are the preset's.",
    "/spec/train/overrides": "One key: value a line, such as task.losses.focal_loss_gamma: 2; applied last.",
    "/spec/until": "The run ends after it.",
}
_AUTOMATIC_FIELDS = {
    f"/spec/train/{name}"
    for name in (
        *("preset", "steps", "batchSize", "imageSize", "learningRate", "checkpointEvery"),
        *("initialCheckpoint", "classRepeats"),
    )
}
_OPEN_CHOICES = {"/spec/train/initialCheckpoint"}  # other values may be typed
_MAX_RUNS = 50  # the newest that succeeded; those among them that trained are offered as initial checkpoints
_MAX_DATASETS = 200  # in the list; the button on the page of a dataset adds that one


@dataclass(frozen=True)
class Field:
    """One field of the form.

    Attributes:
      kind: `text`, `number`, `checkbox`, `select`, or `yaml` for an object.
      default: The value that holds when the field is left empty.
      value: The user's input; `on` or empty for a checkbox.
      choices: Value to text; of a `text`, those that are offered.
    """

    pointer: str
    label: str
    help: str
    kind: str
    default: str
    value: str
    choices: Mapping[str, str]
    schema: Schema
    error: str | None = None

    @property
    def id(self) -> str:
        return self.pointer.strip("/").replace("/", "-")

    @property
    def placeholder(self) -> str:
        """The meaning of an empty field without a default."""
        return "chosen for you" if self.pointer in _AUTOMATIC_FIELDS else ""

    @property
    def has_input(self) -> bool:
        """The user has changed it; an empty checkbox was emptied."""
        return self.value != self.default and (self.value != "" or self.kind == "checkbox")


@dataclass(frozen=True)
class Group:
    """Fields that most users leave as they are."""

    title: str
    help: str
    fields: list[Field]

    @property
    def is_open(self) -> bool:
        """A field of the group has input or an error."""
        return any(f.error or f.has_input for f in self.fields)


@dataclass(frozen=True)
class FormView:
    """The form.

    Attributes:
      key: Idempotency-Key of the submission: a form that is sent twice makes one run.
      errors: Errors that belong to no field.
    """

    key: str
    main_fields: list[Field]
    groups: list[Group]
    presets: list[PresetAnswer]
    errors: list[str] = field(default_factory=list)


def build_form(runs: Runs, values: Mapping[str, str], problem: HTTPException | None = None) -> FormView:
    """Return the form, with the user's input and the errors in it."""
    errors = _errors_by_pointer(problem)
    choices = {
        "/spec/dataset/ref": _dataset_choices(runs.store, values.get("/spec/dataset/ref", "")),
        "/spec/train/initialCheckpoint": _weights_choices(runs),
        "/spec/train/preset": {preset.name: f"{preset.name} · {_purpose(preset)}" for preset in presets()},
    }
    empty_value = None if problem is None else ""
    fields = {
        pointer: _build_field(pointer, values.get(pointer, empty_value), choices, errors) for pointer in field_schemas()
    }
    return FormView(
        key=values.get("key") or secrets.token_hex(16),
        main_fields=[fields.pop(pointer) for pointer in _MAIN_FIELDS],
        groups=_group(fields),
        presets=presets(),
        errors=[error for pointer, error in errors.items() if pointer not in field_schemas()],
    )


def _purpose(preset: PresetAnswer) -> str:
    return f"experimental: {preset.summary}" if preset.experimental else preset.summary


def _build_field(
    pointer: str, value: str | None, choices: Mapping[str, Mapping[str, str]], errors: Mapping[str, str]
) -> Field:
    """Return one field.

    Args:
      value: None in a form that was not submitted: then a checkbox shows its default.
    """
    schema, help_text = field_schemas()[pointer]
    kind = kind_of_field(schema)
    default = "" if schema.get("default") is None else str(schema.get("default"))
    if kind == "checkbox":
        default = "on" if schema.get("default") else ""
    enum = SWITCH_CHOICES if kind == "switch" else {str(value): str(value) for value in schema.get("enum", [])}
    name = pointer.rpartition("/")[2]
    return Field(
        pointer=pointer,
        label=_LABELS.get(pointer) or re.sub(r"([A-Z])", r" \1", name).lower().capitalize(),
        help=_HELP.get(pointer, help_text.replace("`", "")),  # docstrings have backquotes
        kind="select" if enum or pointer in choices.keys() - _OPEN_CHOICES else kind,
        default=default,
        value=(default if kind == "checkbox" else "") if value is None else value,
        choices=choices.get(pointer, enum),
        schema=schema,
        error=errors.get(pointer),
    )


def _group(fields: Mapping[str, Field]) -> list[Group]:
    """Group the fields by part of the spec; the docstring of the part is the help of its group."""
    groups = []
    for part, reference in (
        resolve_reference(run_schema().get("properties", {}).get("spec", {})).get("properties", {}).items()
    ):
        part_fields = [field for pointer, field in fields.items() if pointer.split("/")[2] == part]
        if part_fields:
            description, _ = split_docstring(resolve_reference(reference).get("description", ""))
            groups.append(Group(part.capitalize(), description.partition(";")[0].rstrip("."), part_fields))
    return groups


def _dataset_choices(store: ObjectStore, ref: str) -> dict[str, str]:
    datasets = page_of_datasets(store, _MAX_DATASETS, None).items
    choices = {d.ref: f"{d.name}@{d.sha256[:8]} · {d.images:,} images, {d.boxes:,} boxes" for d in datasets}
    return choices if ref in choices or not ref else {ref: ref} | choices


def _weights_choices(runs: Runs) -> dict[str, str]:
    """Return the initial checkpoints that the installation has, and those of its newest runs."""
    weights = {kept.address: f"{format_bytes(kept.bytes)}, from {kept.kept_at[:10]}" for kept in list_kept(runs.store)}
    packaged_weights = {name: weights.description.partition(",")[0] for name, weights in PACKAGED_WEIGHTS.items()}
    return {"scratch": "no pretrained weights"} | packaged_weights | dict(sorted(weights.items())) | _run_choices(runs)


def _run_choices(runs: Runs) -> dict[str, str]:
    """Return the newest trained runs; none while the cluster does not answer, which loses no input."""
    try:
        page, _ = runs.page(RunFilter(state=State.SUCCEEDED), _MAX_RUNS, None)
    except TransientError:
        return {}
    trained_runs = [run for run in page if STAGES.index(run.spec.until) >= STAGES.index("train")]
    return {f"{RUN_PREFIX}{run.name}": "best checkpoint of this run" for run in trained_runs}


def _errors_by_pointer(problem: HTTPException | None) -> dict[str, str]:
    """Return the messages by pointer; the pointer of a message on the whole form is empty."""
    if problem is None:
        return {}
    if getattr(problem, "kind", None) == "name-taken":
        return {"/metadata/name": str(problem.detail)}
    errors: list[FieldError] = getattr(problem, "errors", [])
    return {error.pointer or "": _message(error) for error in errors} or {"": str(problem.detail)}


def _message(error: FieldError) -> str:
    return f"{error.detail}; choose one of {', '.join(error.valid)}" if error.valid else error.detail
