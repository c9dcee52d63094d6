"""Private files of the command, in the user's folders and readable only by the user."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from slipway.store.file_errors import as_store_errors


def user_folder(variable: str, default: str) -> Path:
    """Return the folder for files of one kind, by the XDG Base Directory Specification."""
    home = os.environ.get(variable, "")
    return (Path(home) if home.startswith("/") else Path.home() / default) / "slipway"


def write_private(path: Path, content: Any) -> None:
    """Write JSON atomically to a file that only its owner can read."""
    with as_store_errors(str(path)):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # created with mode 0600
        try:
            with os.fdopen(descriptor, "w") as file:
                json.dump(content, file)
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)
