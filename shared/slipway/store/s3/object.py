"""One object in a bucket: read, written and verified, whole or in parts."""

import base64
import hashlib
import math
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from io import BufferedRandom
from pathlib import Path
from typing import NamedTuple, TypeVar

from minio import Minio
from minio.datatypes import Part
from minio.error import InvalidResponseError, S3Error
from urllib3 import BaseHTTPResponse

from slipway.errors import Damaged, MissingBucket, MissingKey, SlipwayError, StoreUnavailable
from slipway.store.interface import CHUNK_BYTES, Stat, in_parallel
from slipway.store.s3.client import with_store_retries
from slipway.store.s3.errors import answer

LARGE_BYTES = 64 << 20  # above it, content travels in parts
PART_BYTES = 8 << 20
_PARTS_AT_ONCE = 4
_MOST_PARTS = 10_000  # S3's own limit
_DIGEST = "x-amz-meta-slipway-sha256"

T = TypeVar("T")


class ObjectHeaders(NamedTuple):
    """The server's headers of an object, or of a range of it.

    Attributes:
      digest: The SHA-256 in the object's metadata; None when another program stored it.
    """

    size: int
    etag: str
    digest: str | None


class Source(NamedTuple):
    """Content to send in parts.

    Attributes:
      part: Returns the bytes at an offset, of a length.
    """

    size: int
    digest: str
    part: Callable[[int, int], bytes]


@dataclass(frozen=True)
class S3Object:
    """An object that may exist or not.

    The client's methods for free headers and single parts are private: `tests/contract` checks them with each version
    of the client.
    """

    client: Minio
    bucket: str
    name: str
    patience_sec: float

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}/{self.name}"

    def with_retries(self, call: Callable[[], T]) -> T:
        """Call until the server answers."""
        return with_store_retries(call, self.url, self.patience_sec)

    def with_bucket_retries(self, call: Callable[[], T]) -> T:
        """Make a call that needs the bucket but not the object: if anything is missing, it is the bucket."""
        try:
            return self.with_retries(call)
        except MissingKey as error:
            raise MissingBucket(
                f"s3://{self.bucket}: there is no such bucket; create it, or correct the store's address"
            ) from error

    def read(self) -> bytes:
        def get() -> bytes:
            with self._open() as (response, headers):
                content: bytes = response.read(decode_content=False)
            self._check(headers, _digest(content))
            return content

        return self.with_retries(get)

    def fetch(self, file: BufferedRandom) -> None:
        """Copy the object to the file."""

        def get() -> None:
            file.seek(0)
            file.truncate()
            with self._open() as (response, headers):
                if headers.size <= LARGE_BYTES:
                    for chunk in response.stream(CHUNK_BYTES, decode_content=False):
                        file.write(chunk)
            if headers.size > LARGE_BYTES:
                self._fetch_parts(headers, file.fileno())
            file.seek(0)
            self._check(headers, hashlib.file_digest(file, "sha256").hexdigest())

        self.with_retries(get)

    def stat(self) -> Stat | None:
        try:
            status = self.with_retries(lambda: self.client.stat_object(self.bucket, self.name))
        except MissingKey:
            return None
        return Stat(status.size or 0, status.etag or "")

    def delete(self) -> None:
        with suppress(MissingKey):
            self.with_retries(lambda: self.client.remove_object(self.bucket, self.name))

    def write(self, content: bytes) -> None:
        if len(content) > LARGE_BYTES:
            self._send_parts(Source(len(content), _digest(content), lambda start, size: content[start : start + size]))
        else:
            self.with_bucket_retries(lambda: self._put(content))

    def send(self, path: Path) -> None:
        """Write a file's content in parts; it must not change meanwhile."""
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
            self._send_parts(Source(size, digest, lambda start, size: os.pread(file.fileno(), size, start)))

    def create(self, content: bytes) -> bool:
        """Write unless the object exists, and return whether this call did; atomic where the server can do that."""
        tries = 0

        def put() -> bool:
            nonlocal tries
            tries += 1
            try:
                self._put(content, {"If-None-Match": "*"})
            except (S3Error, InvalidResponseError) as error:
                status = answer(error).status
                if status == 412:  # it exists; or an earlier try made it, and the answer was lost
                    return tries > 1 and self.read() == content
                if status != 501:  # the server does not support conditions
                    raise
                self._put(content)
            return True

        # A server that ignores the condition would replace the object.
        return self.stat() is None and self.with_bucket_retries(put)

    @contextmanager
    def _open(self, **request_headers: str) -> Iterator[tuple[BaseHTTPResponse, ObjectHeaders]]:
        response = self.client.get_object(self.bucket, self.name, request_headers=dict(request_headers))
        try:
            get = response.headers.get
            yield response, ObjectHeaders(int(get("content-length", 0)), get("etag", ""), get(_DIGEST))
        finally:
            response.close()

    def _check(self, headers: ObjectHeaders, digest: str) -> None:
        if headers.digest not in (None, digest):
            raise Damaged(
                f"{self.url}: came with digest {digest[:12]}, was stored with {str(headers.digest)[:12]}; "
                "try again, and if it stays so, delete the key and make it anew"
            )

    def _fetch_parts(self, headers: ObjectHeaders, file: int) -> None:
        def fetch(start: int, end: int) -> str:
            with self._open(Range=f"bytes={start}-{end - 1}") as (response, part):
                for chunk in response.stream(CHUNK_BYTES, decode_content=False):
                    start += os.pwrite(file, chunk, start)
            return part.etag if start == end else ""

        def fetch_part(start: int) -> None:
            end = min(start + PART_BYTES, headers.size)
            if self.with_retries(lambda: fetch(start, end)) != headers.etag:
                raise Damaged(f"{self.url}: was replaced while it was read; try again")

        in_parallel(fetch_part, range(0, headers.size, PART_BYTES), _PARTS_AT_ONCE)

    def _put(self, content: bytes, headers: dict[str, str] | None = None) -> None:
        md5 = hashlib.md5(content, usedforsecurity=False).digest()
        checksums = {"Content-MD5": base64.b64encode(md5).decode(), _DIGEST: _digest(content)}
        self.client._put_object(self.bucket, self.name, content, {**checksums, **(headers or {})})

    def _send_parts(self, source: Source) -> None:
        size = max(PART_BYTES, math.ceil(source.size / _MOST_PARTS))
        upload = self.with_bucket_retries(
            lambda: self.client._create_multipart_upload(self.bucket, self.name, {_DIGEST: source.digest})
        )

        def send(number: int) -> Part:
            content = source.part((number - 1) * size, size)
            tag = self.with_retries(
                lambda: self.client._upload_part(self.bucket, self.name, content, None, upload, number)
            )
            return Part(number, tag)

        with ExitStack() as undo:
            undo.callback(self._abandon, upload)
            parts = in_parallel(send, range(1, math.ceil(source.size / size) + 1), _PARTS_AT_ONCE)
            self.with_retries(lambda: self._assemble(upload, parts, source.digest))
            undo.pop_all()

    def _assemble(self, upload: str, parts: list[Part], digest: str) -> None:
        try:
            done = self.client._complete_multipart_upload(self.bucket, self.name, upload, parts)
        except S3Error as error:
            if error.code != "NoSuchUpload" or not self._holds(digest):  # unless an earlier answer was lost
                raise
        else:
            if not done.etag:  # an error can come after the status 200 was sent
                raise StoreUnavailable(f"{self.url}: the server could not put the parts together; try again")

    def _holds(self, digest: str) -> bool:
        status = self.client.stat_object(self.bucket, self.name)
        return (status.metadata or {}).get(_DIGEST) == digest

    def _abandon(self, upload: str) -> None:
        """Free the space of the parts; a server that does not answer frees it by its own rules."""
        with suppress(SlipwayError):
            with_store_retries(
                lambda: self.client._abort_multipart_upload(self.bucket, self.name, upload), self.url, patience_sec=0
            )


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
