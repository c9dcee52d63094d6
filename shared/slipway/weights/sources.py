"""The places that an initial checkpoint can come from: a folder, a bucket, a server, another run, the store."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from slipway import keys
from slipway.artifacts.checkpoints import Checkpoints
from slipway.artifacts.evaluation import BestCheckpoint
from slipway.artifacts.json_io import read_optional
from slipway.errors import InputError, MissingKey, TransientError
from slipway.events import event
from slipway.run.names import NAME_PATTERN
from slipway.store.from_url import open_store
from slipway.store.interface import ObjectStore, download_all
from slipway.text import format_bytes
from slipway.weights.checkpoint.table import BadCheckpoint, checkpoint_files
from slipway.weights.download import MAX_BYTES, download, unpack_file
from slipway.weights.stored import address_digest, fetch_kept, find_checkpoint, find_kept, is_kept

RUN_PREFIX = "run:"
_NAME = re.compile(NAME_PATTERN)
_MOST_KEYS = 1000  # below a prefix that is to hold one checkpoint


def fetch_weights(address: str, store: ObjectStore, scratch: Path) -> Path:
    """Return the local path without suffix of the checkpoint that an address means.

    Args:
      address: A folder or a checkpoint's path without suffix, `s3://bucket/prefix` of either, the `https://` address of
        a `.tar.gz`, `run:NAME` for the best checkpoint of another run in the store, or the name of one that was sent
        to the store. What the store has under an address is not fetched again.
      scratch: A local folder to which all but a local checkpoint is copied.

    Raises:
      InputError: There is nothing at the address, or no checkpoint, or more than is accepted.
      TransientError: The server or the store does not answer.
    """
    folder = scratch / "initial"
    if address.startswith(RUN_PREFIX):
        return _of_run(address.removeprefix(RUN_PREFIX), store, folder)
    if weights := find_kept(store, address):
        return fetch_kept(store, weights.sha256, folder)
    if address.startswith("s3://"):
        return _of_bucket(address, folder)
    if "://" in address:
        return _of_server(address, store, folder)
    path = Path(address)
    if path.name and path.with_name(f"{path.name}.index").is_file():
        return path
    if _NAME.fullmatch(address) and not path.exists():
        raise InputError(f"the store {store.url} has no weights of that name, and there is no such folder")
    return find_checkpoint(path)


@contextmanager
def named_errors(address: str) -> Iterator[None]:
    """Name the initial checkpoint in every error, and say what to do."""
    try:
        yield
    except InputError as error:
        advice = "give another with initialCheckpoint, or 'scratch' for none"
        raise InputError(f"initial checkpoint {address}: {error}; {advice}") from error
    except TransientError as error:
        raise TransientError(f"initial checkpoint {address}: {error}") from error


def _of_run(run: str, store: ObjectStore, folder: Path) -> Path:
    """Fetch the best checkpoint of a run, which may be going on: then it is the best so far."""
    if not _NAME.fullmatch(run):
        raise InputError(f"{run!r} is not the name of a run")
    best = read_optional(store, keys.best(run), BestCheckpoint)
    if best is None:
        raise InputError(f"the store {store.url} has no run {run} whose checkpoints were measured")
    try:
        return Checkpoints(store, keys.best_checkpoint(run)).fetch(best.step, folder)
    except MissingKey as error:  # removed since, or replaced by a better one
        raise TransientError(f"checkpoint {best.step} of run {run} was just removed; try again") from error


def _of_bucket(address: str, folder: Path) -> Path:
    """Fetch a checkpoint from a bucket, with the credentials of the store."""
    parent, _, name = address.rstrip("/").rpartition("/")
    if parent.startswith("s3://"):
        siblings = open_store(parent)
        if siblings.stat(f"{name}.index") is not None:
            return _download(siblings, f"{name}.index", folder)
    source = open_store(address)
    listed = [file.key for file in islice(source.scan(), _MOST_KEYS)]
    index_keys = [key for key in listed if key.endswith(".index")]
    if len(index_keys) != 1 or len(listed) == _MOST_KEYS:
        raise BadCheckpoint(
            f"found {', '.join(index_keys[:5]) or 'no .index file'}, expected one checkpoint and few other files; give "
            "its address without suffix"
        )
    return _download(source, index_keys[0], folder)


def _download(source: ObjectStore, index_key: str, folder: Path) -> Path:
    index = folder / index_key
    source.download(index_key, index)
    bytes_left = MAX_BYTES
    for file in checkpoint_files(index.with_suffix(""))[:-1]:
        key = file.relative_to(folder).as_posix()
        stat = source.stat(key)
        bytes_left -= stat.size if stat else 0
        if stat is None or bytes_left < 0:
            raise BadCheckpoint(f"{key} is missing" if stat is None else f"more than {format_bytes(MAX_BYTES)}")
        source.download(key, file)
    return index.with_suffix("")


def _of_server(address: str, store: ObjectStore, folder: Path) -> Path:
    """Fetch an archive, unless it was put into the store under the digest of its address."""
    digest = address_digest(address)
    if is_kept(store, digest):
        download_all(store, keys.initial_checkpoint(digest), folder)
        return find_checkpoint(folder)
    event("initial_checkpoint_fetched", address=address)
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder.with_name("initial.tar.gz")
    try:
        download(address, archive)
        unpack_file(archive, folder)
    finally:
        archive.unlink(missing_ok=True)
    return find_checkpoint(folder)
