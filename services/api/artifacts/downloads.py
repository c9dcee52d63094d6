"""Downloads: a key of the store as an answer, whole or a range of it.

A run may write any content, so the headers forbid a browser to execute it.
"""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import Response, StreamingResponse

from slipway.errors import StoreUnavailable
from slipway.http.problems import Problem
from slipway.store.interface import ObjectStore, Stat

from services.api.parameters import matches

# A report may show its own pictures in its own style. In its sandbox it has no cookies and no scripts.
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox"
)
_ARTIFACT_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"
_MEDIA_TYPES = {
    ".csv": "text/csv; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".log": "text/plain; charset=utf-8",
    ".md": "text/markdown; charset=utf-8",
    ".pbtxt": "text/plain; charset=utf-8",
    ".png": "image/png",
    ".yaml": "application/yaml",
}
_INLINE_TYPES = ("image/", "text/plain", "application/json")
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_TRIES = 3  # when the key is replaced between its stat and its stream

DOWNLOAD_RESPONSES: dict[int | str, dict[str, Any]] = {
    206: {"description": "The requested range."},
    304: {"description": "The content is unchanged."},
}


@dataclass(frozen=True)
class Conditions:
    """The headers of a request that decide which content it gets."""

    if_none_match: str | None
    if_range: str | None
    range: str | None

    @classmethod
    def from_request(cls, request: Request) -> "Conditions":
        headers = request.headers
        return cls(headers.get("if-none-match"), headers.get("if-range"), headers.get("range"))


def download(store: ObjectStore, key: str, request: Request, headers: dict[str, str] | None = None) -> Response:
    """Answer with a key's content, or with the range of it that the request asks for.

    Args:
      headers: Used instead of those that fit the key's name.

    Raises:
      Problem: 404 where there is no such key, 416 where the range begins after its end.
    """
    conditions = Conditions.from_request(request)
    for _ in range(_TRIES):
        stat = store.stat(key)
        if stat is None:
            raise Problem(404, f"there is no {key} in the store")
        etag = f'"{stat.etag}"'
        key_headers = {"ETag": etag, "Accept-Ranges": "bytes", "Cache-Control": "private, no-cache"}
        key_headers |= headers or headers_for(key)
        if conditions.if_none_match is not None and matches(etag, conditions.if_none_match):
            return Response(status_code=304, headers=key_headers)
        has_range = conditions.if_range is None or conditions.if_range.strip() == etag
        part = byte_range(conditions.range, stat.size) if conditions.range and has_range else None
        if (answer := _open(store, key, stat, part, key_headers)) is not None:
            return answer
    raise StoreUnavailable(f"{key}: is being replaced again and again; try again")


def headers_for(key: str) -> dict[str, str]:
    """Return the headers that fit a key's name; a browser shows only types that can do no harm."""
    name = PurePosixPath(key)
    media_type = _MEDIA_TYPES.get(name.suffix.lower(), "application/octet-stream")
    disposition = "inline" if media_type.startswith(_INLINE_TYPES) else "attachment"
    ascii_name = re.sub(r"[^\w.() -]", "_", name.name, flags=re.ASCII)
    utf8_name = quote(name.name, safe="")
    return {
        "Content-Type": media_type,
        "Content-Disposition": f"{disposition}; filename=\"{ascii_name}\"; filename*=UTF-8''{utf8_name}",
        "Content-Security-Policy": _ARTIFACT_POLICY,
        "X-Content-Type-Options": "nosniff",
    }


def report_headers() -> dict[str, str]:
    """Return the headers of a report: Slipway wrote it, but users chose the names in it."""
    return {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": REPORT_POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }


def byte_range(text: str, size: int) -> tuple[int, int] | None:
    """Parse a Range header.

    Returns:
      The first byte, and the byte after the last. None when the header is to be ignored, since it is not a range of
      bytes or has several.

    Raises:
      Problem: 416, the range begins after the end.
    """
    match = _RANGE.fullmatch(text.strip())
    if not match or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if first == "":
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None
    if start >= size:
        headers = {"Content-Range": f"bytes */{size}"}
        raise Problem(416, f"the range {text} lies behind the end, at {size} bytes", headers=headers)
    return start, end


def _open(
    store: ObjectStore, key: str, stat: Stat, part: tuple[int, int] | None, headers: dict[str, str]
) -> StreamingResponse | None:
    """Answer with the key's content, or with a part of it; None when the key was replaced since its stat."""
    start, end = part or (0, stat.size)
    content = store.stream(key, start, end) if part else store.stream(key)
    if content.stat != stat:
        content.close()
        return None
    headers = headers | {"Content-Length": str(end - start)}
    if part:
        headers |= {"Content-Range": f"bytes {start}-{end - 1}/{stat.size}"}
    return StreamingResponse(content.chunks, 206 if part else 200, headers)
