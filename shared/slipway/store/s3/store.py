"""`MinioStore`: the store in a bucket of any S3-compatible server."""

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from threading import BoundedSemaphore
from typing import Literal

from minio import Minio
from minio.datatypes import Object
from minio.helpers import check_bucket_name

from slipway.errors import InputError
from slipway.store.interface import Content, Listed, Stat, key_names
from slipway.store.s3.client import connect
from slipway.store.s3.content import stream
from slipway.store.s3.object import LARGE_BYTES, PART_BYTES, S3Object
from slipway.store.s3.settings import PATIENCE_SEC, S3Settings

_HELD_AT_ONCE = 2  # uploads of up to 64 MiB in memory, beside those of up to 8 MiB


class MinioStore:
    """An `ObjectStore` below `s3://bucket/prefix`.

    Content is stored with its SHA-256 and verified when it is read; objects of other programs, without one, are not
    verified. A server that does not answer is asked again for `patience_sec`.
    """

    def __init__(
        self,
        url: str,
        settings: S3Settings,
        patience_sec: float = PATIENCE_SEC,
        public_endpoint: str | None = None,
    ) -> None:
        self._bucket, self._root = _parse(url)
        self.url = f"s3://{self._bucket}/{self._root}".rstrip("/")
        self._client = connect(settings)
        self._public_settings = replace(settings, endpoint=public_endpoint or settings.endpoint)
        self._patience_sec = patience_sec
        self._room = BoundedSemaphore(_HELD_AT_ONCE)

    def __repr__(self) -> str:
        return f"MinioStore({self.url!r})"

    def read(self, key: str) -> bytes:
        return self._object(key).read()

    def write(self, key: str, content: bytes) -> None:
        self._object(key).write(content)

    def create(self, key: str, content: bytes) -> bool:
        return self._object(key).create(content)

    def stat(self, key: str) -> Stat | None:
        return self._object(key).stat()

    def stream(self, key: str, start: int = 0, end: int | None = None) -> Content:
        return stream(self._object(key), start, end)

    def presign(self, key: str, method: Literal["GET", "PUT"], seconds: int) -> str | None:
        name = self._object(key).name
        return self._signer.get_presigned_url(method, self._bucket, name, timedelta(seconds=seconds))

    def scan(self, prefix: str = "") -> Iterator[Listed]:
        folder = self._object(prefix).name + "/" if prefix else self._root
        objects = self._object_at(folder).with_bucket_retries(
            lambda: [*self._client.list_objects(self._bucket, prefix=folder, recursive=True)]
        )
        # Some tools mark a folder by an empty object whose name ends with a slash.
        yield from sorted(self._entry(item) for item in objects if not str(item.object_name).endswith("/"))

    def _entry(self, item: Object) -> Listed:
        modified_at = item.last_modified.timestamp() if item.last_modified else math.inf
        return Listed(str(item.object_name).removeprefix(self._root), item.size or 0, modified_at)

    def delete(self, key: str) -> None:
        self._object(key).delete()

    def download(self, key: str, path: Path) -> None:
        partial = path.with_name(f"{path.name}.part")
        partial.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("w+b") as file:
                self._object(key).fetch(file)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    def upload(self, path: Path, key: str) -> None:
        size = path.stat().st_size
        if size <= PART_BYTES:
            self._object(key).write(path.read_bytes())
            return
        with self._room:
            if size <= LARGE_BYTES:
                self._object(key).write(path.read_bytes())
            else:
                self._object(key).send(path)

    @cached_property
    def _signer(self) -> Minio:
        """The client that presigns addresses; the server's public name may not resolve here."""
        region = self._object_at("").with_bucket_retries(lambda: self._client._get_region(self._bucket))
        return connect(replace(self._public_settings, region=region))

    def _object(self, key: str) -> S3Object:
        name = self._root + "/".join(key_names(key))
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise InputError(f"key {key!r} is not UTF-8, as S3 requires; rename the file") from error
        return self._object_at(name)

    def _object_at(self, name: str) -> S3Object:
        return S3Object(self._client, self._bucket, name, self._patience_sec)


def _parse(url: str) -> tuple[str, str]:
    """Split `s3://bucket/prefix` into the bucket and the prefix of object names, which ends with a slash or is empty.

    Raises:
      InputError: The bucket's name or the prefix is malformed.
    """
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    try:
        check_bucket_name(bucket, strict=True)
    except ValueError as error:
        raise InputError(f"store {url!r}: {error}; expected s3://bucket or s3://bucket/prefix") from error
    prefix = prefix.rstrip("/")
    return bucket, "/".join(key_names(prefix)) + "/" if prefix else ""
