"""Opening a store by its address."""

from pathlib import Path

from slipway.errors import InputError
from slipway.store.folder import FolderStore
from slipway.store.interface import ObjectStore
from slipway.store.s3.settings import PATIENCE_SEC, S3Settings


def open_store(url: str, patience_sec: float = PATIENCE_SEC, public_endpoint: str | None = None) -> ObjectStore:
    """Open a store by its address: the path of a folder, or `s3://bucket/prefix`.

    The S3 server and its credentials are read from the environment.

    Args:
      patience_sec: How long a server that does not answer is asked again.
      public_endpoint: The server in presigned addresses, which clients outside use.

    Raises:
      InputError: The address has an unknown scheme.
      SpecError: The environment does not say how to reach the S3 server.
    """
    from slipway.store.measured import MeasuredStore  # late: `slipway --help` does not wait for prometheus_client

    if url.startswith("s3://"):
        from slipway.store.s3.store import MinioStore

        return MeasuredStore(MinioStore(url, S3Settings.read(), patience_sec, public_endpoint))
    if "://" in url:
        raise InputError(f"store {url!r}: expected the path of a folder, or s3://bucket/prefix")
    return MeasuredStore(FolderStore(Path(url).absolute()))
