"""The steps from an uploaded archive to an initial checkpoint in the store: unpacking, a check, a copy."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from slipway.artifacts.weights import KeptWeights
from slipway.store.interface import ObjectStore
from slipway.weights.download import unpack
from slipway.weights.stored import find_checkpoint, keep_named

from services.api.datasets import uploads


def keep_upload(
    store: ObjectStore, upload: tuple[str, uploads.Archive], addresses: Sequence[str], now: str
) -> list[KeptWeights]:
    """Unpack an archive whose parts have all arrived, and keep the checkpoint in it under each of the addresses.

    The files are written to this machine's temporary folder first: their digest decides where they are kept.

    Args:
      upload: Its id, and its description with its size.
      now: RFC 3339.

    Raises:
      BadArchive: It is damaged, holds something that is not accepted, or exceeds a limit.
      InputError: It is not a checkpoint, or an address already means another.
    """
    id, archive = upload
    with tempfile.TemporaryDirectory() as folder:
        with uploads.open_archive(store, id, archive) as file:
            unpack(file, Path(folder))
        return keep_named(store, find_checkpoint(Path(folder)), addresses, archive.user, now)
