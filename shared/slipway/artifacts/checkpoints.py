"""Checkpoints of a run in the store: published with their digests, fetched and verified."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from slipway import keys
from slipway.artifacts.json_io import read_document, write_document
from slipway.artifacts.training import CheckpointListing
from slipway.digests import sha256_file
from slipway.errors import MissingKey, TransientError
from slipway.store.interface import ObjectStore, list_keys

_LISTING = re.compile(r"/ckpt-(\d+)\.json$")


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints below one folder of the store.

    A checkpoint is `ckpt-N.index` with its `ckpt-N.data-*`, uploaded first, and `ckpt-N.json` with their digests,
    uploaded last: one without a listing does not exist.
    """

    store: ObjectStore
    folder: str

    def steps(self) -> list[int]:
        """Return the global steps of the listed checkpoints, ascending."""
        return sorted(int(m[1]) for key in list_keys(self.store, self.folder) if (m := _LISTING.search(key)))

    def listing(self, step: int) -> CheckpointListing:
        """Read the listing of one checkpoint. Raises `MissingKey`."""
        return read_document(self.store, keys.checkpoint_listing(self.folder, step), CheckpointListing)

    def publish(self, step: int, files: Iterable[Path], last: bool = False) -> None:
        """Upload the files, then list the checkpoint with their digests.

        Args:
          last: Whether the training ends with it.
        """
        digests = {}
        for file in files:
            self.store.upload(file, f"{self.folder}/{file.name}")
            digests[file.name] = sha256_file(file)
        listing = CheckpointListing(step=step, files=digests, last=last)
        write_document(self.store, keys.checkpoint_listing(self.folder, step), listing)

    def fetch(self, step: int, folder: Path) -> Path:
        """Download one checkpoint and return the path TensorFlow calls its prefix.

        Raises:
          MissingKey: It is not listed, or was deleted meanwhile.
          TransientError: A file's digest differs from the listed one: the transfer failed.
        """
        for name, expected in self.listing(step).files.items():
            self.store.download(f"{self.folder}/{name}", folder / name)
            digest = sha256_file(folder / name)
            if digest != expected:
                raise TransientError(
                    f"{self.folder}/{name}: digest {digest[:12]}, listed as {expected[:12]}; "
                    "delete it to train from the one before"
                )
        return folder / f"ckpt-{step}"

    def delete(self, step: int) -> None:
        """Delete one checkpoint, its listing first, so that no process starts to fetch it meanwhile."""
        try:
            names = list(self.listing(step).files)
        except MissingKey:
            return
        self.store.delete(keys.checkpoint_listing(self.folder, step))
        for name in names:
            self.store.delete(f"{self.folder}/{name}")
