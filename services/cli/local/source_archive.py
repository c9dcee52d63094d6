"""A zip or tar of annotated images as the source of a local run: unpacked once below the output folder."""

from datetime import UTC, datetime
from pathlib import Path

from slipway import keys
from slipway.archives import BadArchive
from slipway.digests import sha256_file
from slipway.store.folder import FolderStore
from slipway.store.interface import delete_all
from slipway.unpack import ArchiveLimits, unpack

# Of the user's own archive on the user's own machine: larger than what an installation takes of strangers.
_LIMITS = ArchiveLimits(entries=500_000, total_bytes=1 << 40, file_bytes=1 << 30)


def unpack_source(archive: Path, out: Path) -> Path:
    """Unpack an archive and return the folder of its files; one that was unpacked before is left as it is.

    The folder is an upload of the store in `out`, so `slipway gc --uploads` removes it.

    Raises:
      BadArchive: It is neither a zip nor a tar, is damaged, or holds something that is not accepted.
    """
    store = FolderStore(out.absolute())
    modified_at = datetime.fromtimestamp(archive.stat().st_mtime, UTC)
    id = f"{modified_at:%Y%m%dT%H%M%SZ}-{sha256_file(archive)[:16]}"
    prefix = f"{keys.upload(id)}/{_name(archive)}"
    if store.stat(keys.upload_listing(id)) is None:
        delete_all(store, keys.upload(id))  # of an earlier try that was interrupted
        try:
            with archive.open("rb") as file:
                unpack(file, archive.stat().st_size, store, prefix, _LIMITS)
        except BadArchive as error:
            delete_all(store, keys.upload(id))
            raise BadArchive(f"{archive}: {error}") from error
        store.write(keys.upload_listing(id), b"{}\n")
    return store.root / prefix


def _name(archive: Path) -> str:
    return archive.name.split(".")[0] or "archive"
