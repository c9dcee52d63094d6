"""Pretrained weights: fetched or converted once, kept in the store under a digest, and loaded into the model."""

import hashlib
import shutil
import tarfile
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from slipway import keys
from slipway.errors import InputError, TransientError
from slipway.events import event
from slipway.run.packaged_weights import PACKAGED_WEIGHTS
from slipway.store.interface import ObjectStore, download_all, list_keys

from services.trainer.pretrained.efficientnet_lite0 import CONVERSION
from services.trainer.pretrained.package import convert_package

if TYPE_CHECKING:
    from official.core.base_trainer import Trainer

_CHUNK = 1 << 20
_LISTING = ".index"


def fetch_initial_checkpoint(address: str, store: ObjectStore, scratch: Path) -> str:
    """Return the local path of the weights, without suffix.

    Args:
      address: A name of `PACKAGED_WEIGHTS`, a folder with one checkpoint, a checkpoint's path without suffix, or the
        `https://` address of a `.tar.gz` that holds one. Converted weights and fetched archives are kept under
        `checkpoints/initial/`; a cluster without internet access trains from the files that were put there beforehand.

    Raises:
      InputError: The address does not exist, or has no checkpoint; or the package is missing or damaged.
      TransientError: The server did not answer.
    """
    folder = scratch / "initial"
    if address in PACKAGED_WEIGHTS:
        weights = PACKAGED_WEIGHTS[address]
        identity = f"{address}@{weights.sha256}+{CONVERSION}"
        _fill(folder, store, identity, lambda: convert_package(weights, folder))
    elif address.startswith(("https://", "http://")):
        _fill(folder, store, address, lambda: _unpack(_download(address, scratch / "initial.tar.gz"), folder))
    else:
        return _find_checkpoint(Path(address), address)
    return _find_checkpoint(folder, address)


def _fill(folder: Path, store: ObjectStore, identity: str, make: Callable[[], None]) -> None:
    """Copy the weights from the store into the folder, or make them there and keep a copy in the store.

    The listing of a checkpoint, `*.index`, is written last: a copy without one is incomplete, and is made again.
    """
    prefix = keys.initial_checkpoint(hashlib.sha256(identity.encode()).hexdigest())
    if any(key.endswith(_LISTING) for key in list_keys(store, prefix)):
        download_all(store, prefix, folder)
        return
    event("initial_checkpoint_fetched", address=identity)
    make()
    files = [path for path in folder.rglob("*") if path.is_file()]
    for path in sorted(files, key=lambda path: path.suffix == _LISTING):
        store.upload(path, f"{prefix}/{path.relative_to(folder).as_posix()}")


def initialize(trainer: "Trainer") -> None:
    """Load the pretrained weights that the config names, if any, into the model.

    Raises:
      InputError: The file is not a checkpoint, or lacks a weight that the preset takes from it.
    """
    import tensorflow as tf

    try:
        trainer.initialize()
    except (AssertionError, ValueError, tf.errors.OpError) as error:
        task = trainer.config.task
        reason, content = str(error).split(". ")[0][:200], _describe_content(task.init_checkpoint)
        raise InputError(
            f"initial checkpoint {Path(task.init_checkpoint).name}: {content}, expected all of "
            f"{task.init_checkpoint_modules} of the preset's model ({reason}); give another with initialCheckpoint, or "
            "'scratch' for none"
        ) from error


def _describe_content(path: str) -> str:
    import tensorflow as tf

    try:
        parts = {name.split("/")[0] for name, _ in tf.train.list_variables(path)}
    except (ValueError, tf.errors.OpError):
        return "it is not a TensorFlow checkpoint"
    return f"it holds {sorted(part for part in parts if not part.startswith('_'))}"


def _download(address: str, path: Path) -> Path:
    try:
        # The caller has checked that the address begins with https:// or http://.
        with urllib.request.urlopen(address, timeout=60) as response, path.open("wb") as file:  # noqa: S310
            while chunk := response.read(_CHUNK):
                file.write(chunk)
    except urllib.error.HTTPError as error:
        raise InputError(
            f"initial checkpoint {address}: the server says {error.code} {error.reason}; "
            "give another with initialCheckpoint, or 'scratch' for none"
        ) from error
    except OSError as error:
        raise TransientError(
            f"initial checkpoint {address}: {error}; try again, or give a local folder with initialCheckpoint, "
            "or 'scratch' for none"
        ) from error
    return path


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack regular files; refuse links, devices, and names that lead out of the folder."""
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                if not member.isdir():
                    _extract(tar, member, folder)
    except tarfile.TarError as error:
        raise InputError(f"initial checkpoint {archive.name}: {error}; expected a .tar.gz of a checkpoint") from error
    finally:
        archive.unlink()


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    """Write one file; the filter of `extractall` is missing before Python 3.11.4."""
    name = PurePosixPath(member.name)
    content = tar.extractfile(member) if member.isreg() else None
    if content is None or name.is_absolute() or ".." in name.parts:
        raise InputError(f"initial checkpoint: {member.name!r} is a link, or is outside the archive's own folder")
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    with content, (folder / name).open("wb") as file:
        shutil.copyfileobj(content, file)


def _find_checkpoint(path: Path, address: str) -> str:
    if path.with_name(f"{path.name}.index").is_file():
        return str(path)
    index_files = sorted(path.rglob("*.index")) if path.is_dir() else []
    if len(index_files) != 1:
        raise InputError(
            f"initial checkpoint {address}: found {[file.name for file in index_files] or 'no .index file'}, expected "
            "one checkpoint; give its path without suffix"
        )
    return str(index_files[0].with_suffix(""))
