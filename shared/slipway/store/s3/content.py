"""An object read in chunks over one connection, as it was when reading began."""

from collections.abc import Iterator

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError

from slipway.store.interface import CHUNK_BYTES, Content, Stat
from slipway.store.s3.errors import as_store_error
from slipway.store.s3.object import S3Object


def stream(source: S3Object, start: int = 0, end: int | None = None) -> Content:
    """Open the object from `start` up to `end`; once it is open, a broken connection is not retried."""
    headers = {"Range": f"bytes={start}-{'' if end is None else end - 1}"} if start or end is not None else {}
    response = source.with_retries(
        lambda: source.client.get_object(source.bucket, source.name, request_headers=dict(headers))
    )
    headers_received = response.headers
    size = headers_received.get("content-range", "").rpartition("/")[2] or headers_received.get("content-length", "0")
    return Content(
        Stat(int(size), headers_received.get("etag", "").strip('"')), _chunks(response, source.url), response.close
    )


def _chunks(response: BaseHTTPResponse, url: str) -> Iterator[bytes]:
    try:
        yield from response.stream(CHUNK_BYTES, decode_content=False)
    except HTTPError as error:
        raise as_store_error(error, url) from error
    finally:
        response.close()
