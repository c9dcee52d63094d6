"""The command line's request for a run, and its conversion to a TrainingRun."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from slipway.dataset.labels import LabelMap, decode_label_map
from slipway.dataset.source_folder import source_digest
from slipway.errors import InputError, SpecError
from slipway.models import explain
from slipway.run.augmentation import parse_augment
from slipway.run.custom_preset import parse_custom_preset
from slipway.run.model_garden import parse_assignments
from slipway.run.names import LONGEST_NAME, NAME_PATTERN, slug
from slipway.run.packaged_weights import PACKAGED_WEIGHTS
from slipway.run.presets import preset_names
from slipway.run.run_file import parse_run
from slipway.run.spec import DatasetSpec, Metadata, RunSpec, TrainingRun
from slipway.store.from_url import open_store

from services.cli.local.source_archive import unpack_source

# Option → the fields of the spec that it sets.
FIELDS: Mapping[str, tuple[str, ...]] = {
    "preset": ("train.preset",),
    "steps": ("train.steps",),
    "batch_size": ("train.batch_size",),
    "image_size": ("train.image_size",),
    "learning_rate": ("train.learning_rate",),
    "checkpoint_every": ("train.checkpoint_every",),
    "patience": ("train.patience",),
    "initial_checkpoint": ("train.initial_checkpoint",),
    "augment": ("train.augment",),
    "class_repeats": ("train.class_repeats",),
    "time_limit": ("train.time_limit",),
    "gpus": ("train.gpus",),
    "set": ("train.overrides",),
    "seed": ("ingest.seed", "train.seed"),
    "test_ratio": ("ingest.test_ratio",),
    "val_ratio": ("ingest.val_ratio",),
    "train_share": ("ingest.train_share",),
    "label_map": ("ingest.label_map",),
    "format": ("ingest.format",),
    "invalid": ("ingest.invalid",),
    "workers": ("preprocess.workers",),
    "until": ("until",),
}
_PRESET_SUFFIXES = (".yaml", ".yml")
_LONGEST_FOLDER = LONGEST_NAME - 9  # "-" and eight digits of the digest follow


@dataclass(frozen=True)
class RunRequest:
    """The command line's request for a run, not yet checked.

    Attributes:
      options: Options by their names in `FIELDS`, or fields such as `train.seed`; None where one was not given.
      name: Name of the run; when absent, made from its content.
      file: A TrainingRun in YAML; options override it.
    """

    folder: Path | None
    options: Mapping[str, Any]
    name: str | None = None
    file: Path | None = None


def training_run(request: RunRequest, out: Path) -> TrainingRun:
    """Check a request, read the source once for its digest, and name the run.

    Args:
      out: The folder to which the run will write; it must not be inside the source.

    Raises:
      SpecError: An option or a field is wrong; the message names it.
      InputError: The folder or a file does not exist.
    """
    base = _read_base(request)
    spec = _with_digest(_checked_spec(request, base), out)
    name = request.name or (base.metadata.name if base else _digest_name(spec))
    try:
        return TrainingRun(metadata=Metadata(name=name), spec=spec)
    except ValidationError as error:
        raise SpecError(explain(error, {"name": "--name"})) from error


def training_runs(request: RunRequest, changes: Sequence[Mapping[str, Any]], out: Path) -> list[TrainingRun]:
    """Check requests that differ in some options, read their source once, and name each run after its digest.

    Args:
      changes: The options of each run that differ from those of the request.

    Raises:
      SpecError, InputError: As `training_run`.
    """
    specs = run_specs(request, changes)
    dataset = _with_digest(specs[0], out).dataset if specs else None
    specs = [spec.model_copy(update={"dataset": dataset}) for spec in specs]
    return [TrainingRun(metadata=Metadata(name=_digest_name(spec)), spec=spec) for spec in specs]


def run_specs(request: RunRequest, changes: Sequence[Mapping[str, Any]]) -> list[RunSpec]:
    """Check requests that differ in some options, without reading their source. Raises as `training_run`."""
    base = _read_base(request)
    return [_checked_spec(replace(request, options={**request.options, **options}), base) for options in changes]


def _read_base(request: RunRequest) -> TrainingRun | None:
    return parse_run(_read_text(request.file), str(request.file)) if request.file else None


def _digest_name(spec: RunSpec) -> str:
    """Return a name made from the dataset's and the digest of the spec."""
    dataset = spec.dataset.ref.partition("@")[0] if spec.dataset.ref else Path(str(spec.dataset.source)).name
    return f"{slug(dataset, _LONGEST_FOLDER)}-{spec.digest()[:8]}"


def _checked_spec(request: RunRequest, base: TrainingRun | None) -> RunSpec:
    spec = _spec(request, base)
    if spec.suspend or spec.cancel:
        raise SpecError(f"{request.file}: suspend and cancel are for a cluster; remove them, and stop with Ctrl-C")
    if spec.train.preset:
        spec.train.find_preset(spec.train.preset)
    return spec


def _spec(request: RunRequest, base: TrainingRun | None) -> RunSpec:
    """Merge the options into the file's spec, or into the defaults."""
    if (request.folder is None) == (base is None):
        raise SpecError("give either a FOLDER of annotated images, or a run file with -f")
    sections = _base_sections(request, base)
    for option, value in request.options.items():
        for field in FIELDS.get(option, (option,)) if value is not None else ():
            *section, last = field.split(".")
            fields = sections.setdefault(section[0], {}) if section else sections
            fields[last] = _field_value(option, value, request.folder, fields.get(last))
    if request.options.get("preset"):
        sections["train"] |= preset_fields(request.options["preset"])
    try:
        return RunSpec.model_validate(sections)
    except ValidationError as error:
        names = {field: f"--{option.replace('_', '-')}" for option, fields in FIELDS.items() for field in fields}
        raise SpecError(explain(error, names)) from error


def _base_sections(request: RunRequest, base: TrainingRun | None) -> dict[str, Any]:
    """Return the fields into which the options are merged; a source folder is relative to the run file."""
    dataset = base.spec.dataset if base else DatasetSpec(source=str(request.folder))
    folder = request.file.parent if request.file else Path()
    fields = dataset.model_dump(exclude_unset=True)
    if dataset.source and "://" not in dataset.source:
        fields |= {"source": str((folder / dataset.source).resolve())}
    return (base.spec.model_dump(exclude_unset=True) if base else {}) | {"dataset": fields}


def preset_fields(value: str) -> dict[str, Any]:
    """Return the fields of `train` that `--preset` sets: the name of a preset, and its content if it is a file's.

    Raises:
      InputError: The file cannot be read.
      SpecError: The file is not a preset, or has the name of a built-in one.
    """
    path = Path(value)
    if path.suffix not in _PRESET_SUFFIXES:
        return {"preset": value, "custom_preset": None}
    if path.stem in preset_names():
        raise SpecError(f"--preset {path}: there is a built-in preset {path.stem}; give the file another name")
    preset = parse_custom_preset(_read_text(path), f"--preset {path}")
    weights = preset.initial_checkpoint
    if weights is not None:
        weights = _independent_of_folder(weights, path.parent)
    return {"preset": path.stem, "custom_preset": preset.model_copy(update={"initial_checkpoint": weights})}


def _field_value(option: str, value: Any, folder: Path | None, base_value: Any) -> Any:
    """Return the value of an option's field, which depends on no file beside the source.

    A label map's file is replaced by its text, a checkpoint's relative path by its absolute one, and `--set` and
    `--augment` change single fields of the run file's.
    """
    if option == "set":
        return (base_value or {}) | (value if isinstance(value, dict) else parse_assignments(value))
    if option == "augment":
        return (base_value or {}) | (value if isinstance(value, dict) else parse_augment(_texts(value)))
    if option == "label_map":
        files = [path for path in (Path(value), (folder or Path()) / value) if path.is_file()]
        if not files:
            raise InputError(f"--label-map {value}: no such file; give a label_map.pbtxt")
        text = decode_label_map(_read_file(files[0]), f"--label-map {files[0]}")
        LabelMap.parse(text, f"--label-map {files[0]}")
        return text
    return _independent_of_folder(value, Path()) if option == "initial_checkpoint" else value


def _texts(value: str | Sequence[str]) -> Sequence[str]:
    """Return the texts of an option that may be given several times; a sweep gives one."""
    return [value] if isinstance(value, str) else value


def _independent_of_folder(weights: str, folder: Path) -> str:
    """Return the absolute path of an initial checkpoint that is a path relative to a folder."""
    return str((folder / weights).absolute()) if _is_path(weights, folder) else weights


def _is_path(weights: str, folder: Path) -> bool:
    """Check that it is neither an address nor a name: a name of weights in the store looks like a relative path."""
    if weights in ("scratch", *PACKAGED_WEIGHTS) or re.match(r"run:|\w+://", weights):
        return False
    if not re.fullmatch(NAME_PATTERN, weights):
        return True
    return any((folder / f"{weights}{suffix}").exists() for suffix in ("", ".index"))


def _read_text(path: Path) -> str:
    try:
        return _read_file(path).decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: cannot be read as text: {error}") from error


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read as text: {error}") from error


def _with_digest(spec: RunSpec, out: Path) -> RunSpec:
    source = spec.dataset.source
    if source is None:
        return spec
    folder, out = Path(source), out.resolve()
    if folder.is_file():
        folder = unpack_source(folder, out)
    if "://" not in source and not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the folder that holds the images and their annotations")
    if out == folder or folder in out.parents:
        raise InputError(f"--out {out} is inside {folder}: outputs would become input; choose another with --out")
    source = source if "://" in source else str(folder)
    dataset = spec.dataset.model_copy(update={"source": source, "sha256": source_digest(open_store(source))})
    return spec.model_copy(update={"dataset": dataset})
