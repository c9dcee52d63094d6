"""Weights of a Python package: read, checked and converted into a checkpoint."""

import hashlib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from slipway.errors import InputError
from slipway.run.packaged_weights import PackagedWeights

from services.trainer.pretrained.efficientnet_lite0 import write_checkpoint
from services.trainer.pretrained.torch_file import read_tensors


def convert_package(weights: PackagedWeights, folder: Path) -> None:
    """Write the weights as a checkpoint into the folder.

    Raises:
      InputError: The package is missing, or its file is another than the one that Slipway was tested with.
    """
    write_checkpoint(read_package(weights), folder)


def read_package(weights: PackagedWeights) -> dict[str, NDArray[Any]]:
    """Return the package's tensors by name. Raises `InputError` as `convert_package` does."""
    return read_tensors(_read_checked(weights), Path(weights.file).name)


def _read_checked(weights: PackagedWeights) -> bytes:
    """Return the content of the file. The package's own code is not imported."""
    advice = "install the packages of requirements/ anew"
    try:
        content = Path(str(distribution(weights.package).locate_file(weights.file))).read_bytes()
    except (PackageNotFoundError, OSError) as error:
        raise InputError(f"package {weights.package} is not installed whole; {advice}") from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != weights.sha256:
        raise InputError(
            f"{weights.file} of package {weights.package} has SHA-256 {digest[:12]}…, expected "
            f"{weights.sha256[:12]}…; {advice}"
        )
    return content
