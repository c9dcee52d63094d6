"""The store that a setting or an option names."""

from pathlib import Path

from slipway.errors import InputError
from slipway.store.folder import FolderStore
from slipway.store.interface import ObjectStore
from slipway.store.s3.settings import PATIENCE_SEC, S3Settings


def open_store(url: str, patience_sec: float = PATIENCE_SEC, public_endpoint: str | None = None) -> ObjectStore:
    """Open the store that a setting or an option names: a folder's path, or `s3://bucket/prefix`.

    Where the S3 server is, and the keys to it, are read from the environment. It may stay silent for `patience_sec`.
    Addresses that are given to clients outside lead to `public_endpoint`.

    Raises:
      InputError: The address has a scheme that no store speaks.
      SpecError: The environment does not say how to reach the S3 server.
    """
    from slipway.store.measured import Counted  # lazily: the command line's answer does not wait for prometheus_client

    if url.startswith("s3://"):
        from slipway.store.s3.store import MinioStore

        return Counted(MinioStore(url, S3Settings.read(), patience_sec, public_endpoint))
    if "://" in url:
        raise InputError(f"store {url!r}: expected the path of a folder, or s3://bucket/prefix")
    return Counted(FolderStore(Path(url).absolute()))
