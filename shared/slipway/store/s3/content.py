"""An object read in pieces over one connection: what it was when the reading began."""

from collections.abc import Iterator

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError

from slipway.store.interface import CHUNK_BYTES, Content, Stat
from slipway.store.s3.errors import translated
from slipway.store.s3.object import S3Object


def stream(source: S3Object, start: int = 0, end: int | None = None) -> Content:
    """Open the object from `start` up to `end`; once it is open, a server that goes away is not asked again."""
    headers = {"Range": f"bytes={start}-{'' if end is None else end - 1}"} if start or end is not None else {}
    response = source.ask(lambda: source.client.get_object(source.bucket, source.name, request_headers=dict(headers)))
    said = response.headers
    size = said.get("content-range", "").rpartition("/")[2] or said.get("content-length", "0")
    return Content(Stat(int(size), said.get("etag", "").strip('"')), _chunks(response, source.url), response.close)


def _chunks(response: BaseHTTPResponse, url: str) -> Iterator[bytes]:
    try:
        yield from response.stream(CHUNK_BYTES, decode_content=False)
    except HTTPError as error:
        raise translated(error, url) from error
    finally:
        response.close()
