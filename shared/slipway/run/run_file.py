"""Run files: the YAML or JSON of a TrainingRun, and `run.json`, which keeps it in the store."""

import yaml
from pydantic import ValidationError

from slipway import keys
from slipway.errors import SpecError
from slipway.models import explain
from slipway.run.spec import TrainingRun
from slipway.store.interface import ObjectStore


def parse_run(text: str | bytes, source: str) -> TrainingRun:
    """Parse a run from YAML or JSON.

    Args:
      source: File or key, for the error message.

    Raises:
      SpecError: The text is not YAML, or a field is unknown, missing or out of range; the message names each.
    """
    try:
        return TrainingRun.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise SpecError(f"{source}: not YAML: {error}") from error
    except ValidationError as error:
        raise SpecError(f"{source}: {explain(error)}") from error


def begin_run(run: TrainingRun, store: ObjectStore) -> None:
    """Write `run.json` unless it exists; to begin the same run again changes nothing.

    Raises:
      SpecError: A run of that name exists with another spec.
    """
    key = keys.run(run.metadata.name)
    store.create(key, run.dump())
    existing_digest, digest = parse_run(store.read(key), key).spec.digest(), run.spec.digest()
    if existing_digest != digest:
        raise SpecError(
            f"run {run.metadata.name!r} exists with digest {existing_digest[:8]}, this one has "
            f"{digest[:8]}; give the new run another name"
        )


def load_run(name: str, store: ObjectStore) -> TrainingRun:
    """Read `run.json`. Raises `MissingKey` when there is no such run."""
    return parse_run(store.read(keys.run(name)), keys.run(name))
