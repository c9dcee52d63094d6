"""Pretrained weights: fetched once, kept in the store by their address, only ever read, and given to the model."""

import hashlib
import shutil
import tarfile
import urllib.error
import urllib.request
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from slipway import keys
from slipway.errors import InputError, TransientError
from slipway.events import event
from slipway.store.interface import ObjectStore, download_all, upload_all

if TYPE_CHECKING:
    from official.core.base_trainer import Trainer

_CHUNK = 1 << 20


def fetch_initial_checkpoint(address: str, store: ObjectStore, scratch: Path) -> str:
    """Return the local path of the weights, without suffix.

    Args:
      address: A folder with one checkpoint, a checkpoint's path without suffix, or the `https://` address of a
        `.tar.gz` that holds one. What is fetched is kept under `checkpoints/initial/`, so a cluster without internet
        needs it there once.

    Raises:
      InputError: There is no checkpoint at the address, or no such address.
      TransientError: The server did not answer.
    """
    if not address.startswith(("https://", "http://")):
        return _checkpoint_in(Path(address), address)
    kept = keys.initial_checkpoint(hashlib.sha256(address.encode()).hexdigest())
    folder = scratch / "initial"
    if not download_all(store, kept, folder):
        event("initial_checkpoint_fetched", address=address)
        _unpack(_download(address, scratch / "initial.tar.gz"), folder)
        upload_all(store, folder, kept)
    return _checkpoint_in(folder, address)


def initialize(trainer: "Trainer") -> None:
    """Give the model the pretrained weights that its config names, if any.

    Raises:
      InputError: The file is no checkpoint, or lacks a weight that the preset takes from one.
    """
    import tensorflow as tf

    try:
        trainer.initialize()
    except (AssertionError, ValueError, tf.errors.OpError) as error:
        task = trainer.config.task
        reason = str(error).split(". ")[0][:200]
        raise InputError(
            f"initial checkpoint {Path(task.init_checkpoint).name}: {_holds(task.init_checkpoint)}, expected all of "
            f"{task.init_checkpoint_modules} of the preset's model ({reason}); give another with initialCheckpoint, or "
            "'scratch' for none"
        ) from error


def _holds(path: str) -> str:
    import tensorflow as tf

    try:
        parts = {name.split("/")[0] for name, _ in tf.train.list_variables(path)}
    except (ValueError, tf.errors.OpError):
        return "it is no checkpoint of TensorFlow"
    return f"it holds {sorted(part for part in parts if not part.startswith('_'))}"


def _download(address: str, path: Path) -> Path:
    try:
        # The address is https:// or http://, which the caller has seen to.
        with urllib.request.urlopen(address, timeout=60) as answer, path.open("wb") as file:  # noqa: S310
            while chunk := answer.read(_CHUNK):
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
    """Unpack plain files only: names that leave the folder, links and devices are refused."""
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
    """Write one file; `extractall` has the filter for it only from Python 3.11.4 on."""
    name = PurePosixPath(member.name)
    content = tar.extractfile(member) if member.isreg() else None
    if content is None or name.is_absolute() or ".." in name.parts:
        raise InputError(f"initial checkpoint: {member.name!r} is a link, or is outside the archive's own folder")
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    with content, (folder / name).open("wb") as file:
        shutil.copyfileobj(content, file)


def _checkpoint_in(place: Path, address: str) -> str:
    if place.with_name(f"{place.name}.index").is_file():
        return str(place)
    found = sorted(place.rglob("*.index")) if place.is_dir() else []
    if len(found) != 1:
        raise InputError(
            f"initial checkpoint {address}: found {[str(f.name) for f in found] or 'no .index file'}, expected one "
            "checkpoint; give its path without suffix"
        )
    return str(found[0].with_suffix(""))
