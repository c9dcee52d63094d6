"""`slipway submit`: sends a run file to an installation."""

import json
import os
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import yaml

from slipway.digests import sha256_json
from slipway.errors import EXIT_DONE, InputError, SpecError
from slipway.retry import with_retries
from slipway.run.augmentation import parse_augment
from slipway.run.model_garden import parse_assignments
from slipway.run.spec import TrainSpec

from services.cli.commands.status import watch
from services.cli.local.run_request import preset_fields
from services.cli.remote.answers import Run
from services.cli.remote.client import Call
from services.cli.remote.credentials import connect
from services.cli.screen.console import print_json


@dataclass(frozen=True)
class SubmitRequest:
    """The options of `slipway submit`.

    Attributes:
      name: Name of the run; when absent, the file's, or else one that the server makes.
      key: Idempotency key; when absent, made from the file's content and the user.
      preset: Name of a built-in preset, or a file; it takes precedence over the run file's.
      augment: `KEY=VALUE` of fields of `train.augment`; they take precedence over the file's.
      assignments: `KEY=VALUE` of fields of Model Garden's configuration; they take precedence over the file's.
    """

    file: Path
    name: str | None = None
    key: str | None = None
    preset: str | None = None
    augment: tuple[str, ...] = ()
    assignments: tuple[str, ...] = ()


def submit(request: SubmitRequest, is_watched: bool, as_json: bool) -> int:
    """Submit a run; two requests with the same content create one run."""
    body = read_body(request)
    key = request.key or sha256_json([os.getuid(), body])
    api = connect()
    call = Call("POST", "/v1/runs", body=body, headers={"Idempotency-Key": key})
    status, content = with_retries(lambda: api.json_once(call), api.patience())
    run = api.parse(Run, content)
    if not as_json:
        print(f"run {run.name}" + ("" if status == HTTPStatus.CREATED else f" was submitted before; it is {run.state}"))
    if is_watched:
        return watch(api, run.name, as_json)
    if as_json:
        print_json(run.json_content)
    elif status == HTTPStatus.CREATED:
        print(f"follow it with: slipway status {run.name} --watch")
    return EXIT_DONE


def read_body(request: SubmitRequest) -> dict[str, Any]:
    """Read a run file and apply the options to it; the server checks everything else.

    Raises:
      InputError: The file cannot be read.
      SpecError: It is not YAML with an object in it, its source is a local folder, which the server cannot read, or a
        field or a value of an option is wrong.
    """
    body = _read_object(request.file)
    if request.name:
        _make_object(body, request.file, "metadata")["name"] = request.name
    if request.preset:
        _set_preset(_make_object(body, request.file, "spec", "train"), request.preset)
    if request.augment:
        augment = _make_object(body, request.file, "spec", "train", "augment")
        augment |= parse_augment(request.augment)
    if request.assignments:
        overrides = _make_object(body, request.file, "spec", "train", "overrides")
        overrides |= parse_assignments(request.assignments)
    _check_source(body, request.file)
    return body


def _set_preset(train: dict[str, Any], preset: str) -> None:
    """Name a preset in the object `train`, with its content if it is a file's."""
    fields = TrainSpec.model_validate(preset_fields(preset))
    for name in ("custom_preset", "customPreset"):
        train.pop(name, None)
    train |= fields.model_dump(mode="json", by_alias=True, exclude_none=True, include={"preset", "custom_preset"})


def _make_object(body: dict[str, Any], file: Path, *path: str) -> dict[str, Any]:
    """Return the object at a path, which is made if there is none. Raises `SpecError` if it is something else."""
    content = body
    for number, field in enumerate(path, start=1):
        if content.get(field) is None:
            content[field] = {}
        content = content[field]
        if not isinstance(content, dict):
            raise SpecError(f"{file}: {'.'.join(path[:number])} is {content!r}, expected fields with values")
    return content


def _read_object(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: cannot be read as text: {error}") from error
    except yaml.YAMLError as error:
        raise SpecError(f"{file}: not YAML: {error}") from error
    try:
        content = json.loads(json.dumps(content, default=str, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise SpecError(f"{file}: holds a value that JSON cannot express: {error}") from error
    if not isinstance(content, dict):
        raise SpecError(f"{file}: not a TrainingRun; expected apiVersion, kind, metadata and spec")
    return content


def _check_source(body: dict[str, Any], file: Path) -> None:
    spec = body.get("spec")
    dataset = spec.get("dataset") if isinstance(spec, dict) else None
    source = dataset.get("source") if isinstance(dataset, dict) else None
    if isinstance(source, str) and "://" not in source:
        raise SpecError(
            f"{file}: spec.dataset.source {source!r} is a folder of this machine; send it with "
            f"`slipway dataset push {source}`, and name what that prints as spec.dataset.ref instead"
        )
