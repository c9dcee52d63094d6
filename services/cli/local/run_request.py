"""Command-line options → the run that they ask for."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from slipway.dataset.labels import LabelMap
from slipway.dataset.source_folder import source_digest
from slipway.errors import InputError, SpecError
from slipway.models import explain
from slipway.run.plan import load_preset
from slipway.run.spec import Metadata, RunSpec, TrainingRun, parse_run, slug
from slipway.store.from_url import open_store

# Option to the fields of the spec that it sets.
FIELDS: Mapping[str, tuple[str, ...]] = {
    "preset": ("train.preset",),
    "steps": ("train.steps",),
    "batch_size": ("train.batch_size",),
    "image_size": ("train.image_size",),
    "learning_rate": ("train.learning_rate",),
    "checkpoint_every": ("train.checkpoint_every",),
    "patience": ("train.patience",),
    "initial_checkpoint": ("train.initial_checkpoint",),
    "time_limit": ("train.time_limit",),
    "gpus": ("train.gpus",),
    "seed": ("ingest.seed", "train.seed"),
    "test_ratio": ("ingest.test_ratio",),
    "val_ratio": ("ingest.val_ratio",),
    "label_map": ("ingest.label_map",),
    "invalid": ("ingest.invalid",),
    "workers": ("preprocess.workers",),
    "until": ("until",),
}
_LONGEST_FOLDER = 43  # a name has at most 52 letters, and "-" with eight of the digest follows


@dataclass(frozen=True)
class Asked:
    """What the command line says, unchecked.

    Attributes:
      options: By their names in `FIELDS`; None where not given.
      name: Of the run; made from its content when absent.
      file: A TrainingRun in YAML; the options given beside it win.
    """

    folder: Path | None
    options: Mapping[str, Any]
    name: str | None = None
    file: Path | None = None


def training_run(asked: Asked, out: Path) -> TrainingRun:
    """Check what was asked, read the source once for its digest, and give the run its name.

    Args:
      out: Where the run will write; it must not be inside the source.

    Raises:
      SpecError: An option or a field is wrong; the message names it.
      InputError: The folder or a file is not there.
    """
    filed = parse_run(_text(asked.file), str(asked.file)) if asked.file else None
    spec = _spec(asked, filed)
    if spec.suspend or spec.cancel:
        raise SpecError(f"{asked.file}: suspend and cancel are for a cluster; remove them, and stop with Ctrl-C")
    if spec.train.preset:
        load_preset(spec.train.preset)
    source = "dataset"
    if spec.dataset.source:
        source = Path(spec.dataset.source).name
        spec = _with_digest(spec, out)
    name = asked.name or (filed.metadata.name if filed else f"{slug(source, _LONGEST_FOLDER)}-{spec.digest()[:8]}")
    try:
        return TrainingRun(metadata=Metadata(name=name), spec=spec)
    except ValidationError as error:
        raise SpecError(explain(error, {"name": "--name"})) from error


def _spec(asked: Asked, filed: TrainingRun | None) -> RunSpec:
    """Lay the options over the file's spec, or over the defaults."""
    if (asked.folder is None) == (filed is None):
        raise SpecError("give either a FOLDER of annotated images, or a run file with -f")
    fields = filed.spec.model_dump(exclude_unset=True) if filed else {"dataset": {"source": str(asked.folder)}}
    source, base = fields["dataset"].get("source"), asked.file.parent if asked.file else Path()
    if source and "://" not in source:
        fields["dataset"]["source"] = str((base / source).resolve())
    for option, value in asked.options.items():
        for field in FIELDS[option] if value is not None else ():
            *section, last = field.split(".")
            (fields.setdefault(section[0], {}) if section else fields)[last] = _local(option, value, asked.folder)
    try:
        return RunSpec.model_validate(fields)
    except ValidationError as error:
        names = {field: f"--{option.replace('_', '-')}" for option, fields in FIELDS.items() for field in fields}
        raise SpecError(explain(error, names)) from error


def _local(option: str, value: Any, folder: Path | None) -> Any:
    """Make what an option says independent of the current folder: a label map's text, a checkpoint's whole path."""
    if option == "label_map":
        places = [path for path in (Path(value), (folder or Path()) / value) if path.is_file()]
        if not places:
            raise InputError(f"--label-map {value}: no such file; give a label_map.pbtxt")
        text = _text(places[0])
        LabelMap.parse(text, f"--label-map {places[0]}")
        return text
    if option == "initial_checkpoint" and value != "scratch" and "://" not in value:
        return str(Path(value).absolute())
    return value


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text: {error}") from error


def _with_digest(spec: RunSpec, out: Path) -> RunSpec:
    source = str(spec.dataset.source)
    folder, out = Path(source), out.resolve()
    if "://" not in source and not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the folder that holds the images and their annotations")
    if out == folder or folder in out.parents:
        raise InputError(f"--out {out} is inside {folder}: outputs would become input; choose another with --out")
    dataset = spec.dataset.model_copy(update={"sha256": source_digest(open_store(source))})
    return spec.model_copy(update={"dataset": dataset})
