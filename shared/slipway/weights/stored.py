"""Initial checkpoints in the store: files under the digest of their content, found by a name or an address."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from slipway import keys
from slipway.artifacts.json_io import read_document, read_optional, write_document
from slipway.artifacts.weights import KeptWeights
from slipway.digests import sha256_file
from slipway.errors import InputError, TransientError
from slipway.run.packaged_weights import PACKAGED_WEIGHTS
from slipway.store.interface import ObjectStore, download_all, list_keys
from slipway.weights.checkpoint.object_graph import read_modules
from slipway.weights.checkpoint.table import BadCheckpoint, checkpoint_files

_LISTING = ".index"
_RESERVED = ("scratch", *PACKAGED_WEIGHTS)
_MOST_FILES = 10_000  # in a folder that is to hold one checkpoint


def find_checkpoint(folder: Path) -> Path:
    """Return the path without suffix of the one checkpoint in a folder. Raises `BadCheckpoint`."""
    index_files = sorted(path for path in islice(_files(folder), _MOST_FILES) if path.suffix == _LISTING)
    if len(index_files) != 1:
        names = ", ".join(file.name for file in index_files[:5]) or f"no {_LISTING} file"
        raise BadCheckpoint(f"found {names}, expected one checkpoint; give its path without suffix")
    return index_files[0].with_suffix("")


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder, but for hidden ones: macOS adds ._ckpt-1.index."""
    for parent, _, names in os.walk(folder):
        yield from (Path(parent, name) for name in names if not name.startswith("."))


def content_digest(prefix: Path) -> str:
    """Return the digest of a checkpoint's files and their names."""
    lines = [f"{file.name}\0{sha256_file(file)}\n" for file in checkpoint_files(prefix)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def keep(store: ObjectStore, prefix: Path) -> str:
    """Copy a checkpoint into the store unless it has it, and return its digest.

    The index is written last: a copy without one is incomplete, and is made again.
    """
    digest = content_digest(prefix)
    folder = keys.initial_checkpoint(digest)
    files = checkpoint_files(prefix)
    if store.stat(f"{folder}/{files[-1].name}") is None:
        for file in files:
            store.upload(file, f"{folder}/{file.name}")
    return digest


def is_kept(store: ObjectStore, digest: str) -> bool:
    """Check that the store has a complete checkpoint below this digest."""
    return any(key.endswith(_LISTING) for key in list_keys(store, keys.initial_checkpoint(digest)))


def fetch_kept(store: ObjectStore, digest: str, folder: Path) -> Path:
    """Copy a kept checkpoint into an empty folder, and return its path without suffix.

    Raises:
      BadCheckpoint: The store does not have it.
      TransientError: The files are not those that were kept.
    """
    download_all(store, keys.initial_checkpoint(digest), folder)
    prefix = find_checkpoint(folder)
    if content_digest(prefix) != digest:
        raise TransientError(f"the files in {keys.initial_checkpoint(digest)} are not those that were kept there")
    return prefix


def find_kept(store: ObjectStore, address: str) -> KeptWeights | None:
    """Return the checkpoint that is kept under a name or an address."""
    weights = read_optional(store, _key(address), KeptWeights)
    return weights if weights and is_kept(store, weights.sha256) else None


def write_kept(store: ObjectStore, weights: KeptWeights) -> None:
    """Write the name or address of a checkpoint after its files."""
    write_document(store, _key(weights.address), weights)


def keep_named(store: ObjectStore, prefix: Path, addresses: Sequence[str], user: str, now: str) -> list[KeptWeights]:
    """Keep a checkpoint, and let each of these names and addresses mean it.

    Args:
      prefix: Its path without suffix.
      user: Who sends it.
      now: RFC 3339, in UTC.

    Raises:
      BadCheckpoint: It is not a checkpoint of TensorFlow 2, or incomplete.
      InputError: A name is reserved, or means another checkpoint, which runs rely on.
    """
    read_modules(prefix)
    digest, size = content_digest(prefix), sum(file.stat().st_size for file in checkpoint_files(prefix))
    for address in addresses:
        if address in _RESERVED:
            raise InputError(f"{address} is a value of initialCheckpoint of another meaning; choose another name")
        weights = find_kept(store, address)
        if weights and weights.sha256 != digest:
            raise InputError(f"{address} already means other weights ({weights.sha256[:12]}); choose another name")
    keep(store, prefix)
    checkpoints = [KeptWeights(address=a, sha256=digest, bytes=size, kept_at=now, user=user) for a in addresses]
    for weights in checkpoints:
        write_kept(store, weights)
    return checkpoints


def list_kept(store: ObjectStore) -> Iterator[KeptWeights]:
    """Yield all checkpoints that have a name or an address."""
    for key in list_keys(store, keys.KEPT_WEIGHTS):
        yield read_document(store, key, KeptWeights)


def address_digest(address: str) -> str:
    return hashlib.sha256(address.encode()).hexdigest()


def _key(address: str) -> str:
    return keys.kept_weights(address_digest(address))
