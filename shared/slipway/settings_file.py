"""Settings of a server, read from the YAML file that an operator writes."""

from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from slipway.errors import SpecError
from slipway.models import explain

Model = TypeVar("Model", bound=BaseModel)


def read_settings_file(path: Path, model: type[Model]) -> Model:
    """Read the file; an empty one means the defaults.

    Raises:
      SpecError: It cannot be read, is not YAML, or fields are wrong; the message names each.
    """
    try:
        return model.model_validate(yaml.safe_load(path.read_text()) or {})
    except OSError as error:
        raise SpecError(f"{path}: {error.strerror}; mount the settings there, or name their file") from error
    except yaml.YAMLError as error:
        raise SpecError(f"{path}: not YAML: {error}") from error
    except ValidationError as error:
        raise SpecError(f"{path}: {explain(error)}") from error
