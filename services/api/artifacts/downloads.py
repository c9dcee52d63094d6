"""A key of the store as an answer: whole or a range of it, for a program or for a browser that trusts nothing in it."""

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

# What a report may do: show its own pictures in its own style. In its sandbox it has no cookies and no scripts.
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox"
)
_NOTHING = "default-src 'none'; frame-ancestors 'none'; sandbox"
_TYPES = {
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
_SHOWN_IN_PLACE = ("image/", "text/plain", "application/json")
_RANGE = re.compile(r"bytes=(?P<first>\d{0,18})-(?P<last>\d{0,18})")
_TRIES = 3  # of a key that is replaced between two looks at it

RESPONSES: dict[int | str, dict[str, Any]] = {
    206: {"description": "The range that was asked for."},
    304: {"description": "As it was."},
}


@dataclass(frozen=True)
class Wanted:
    """What a request wants of a key: its conditions, and a range."""

    if_none_match: str | None
    if_range: str | None
    range: str | None

    @classmethod
    def of(cls, request: Request) -> "Wanted":
        said = request.headers
        return cls(said.get("if-none-match"), said.get("if-range"), said.get("range"))


def download(store: ObjectStore, key: str, request: Request, headers: dict[str, str] | None = None) -> Response:
    """Answer with a key's content, as far as the request wants it.

    Args:
      headers: Instead of those that fit the key's name.

    Raises:
      Problem: 404 where there is no such key, 416 where the range lies behind its end.
    """
    wanted = Wanted.of(request)
    for _ in range(_TRIES):
        stat = store.stat(key)
        if stat is None:
            raise Problem(404, f"there is no {key} in the store")
        own = {"ETag": f'"{stat.etag}"', "Accept-Ranges": "bytes", "Cache-Control": "private, no-cache"}
        own |= headers or headers_for(key)
        if wanted.if_none_match is not None and matches(own["ETag"], wanted.if_none_match):
            return Response(status_code=304, headers=own)
        if (answer := _content(store, key, (stat, wanted), own)) is not None:
            return answer
    raise StoreUnavailable(f"{key}: is being replaced again and again; try again")


def headers_for(key: str) -> dict[str, str]:
    """Say what a key is; a browser shows it only where that can do no harm."""
    name = PurePosixPath(key)
    kind = _TYPES.get(name.suffix.lower(), "application/octet-stream")
    place = "inline" if kind.startswith(_SHOWN_IN_PLACE) else "attachment"
    plain = re.sub(r"[^\w.() -]", "_", name.name, flags=re.ASCII)
    return {
        "Content-Type": kind,
        "Content-Disposition": f"{place}; filename=\"{plain}\"; filename*=UTF-8''{quote(name.name, safe='')}",
        "Content-Security-Policy": _NOTHING,
        "X-Content-Type-Options": "nosniff",
    }


def report_headers() -> dict[str, str]:
    """Return the headers of a page that Slipway made of names that strangers chose."""
    return {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": REPORT_POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }


def byte_range(text: str, size: int) -> tuple[int, int] | None:
    """Read a Range header: the first byte, and the one behind the last.

    Returns:
      None where it is to be ignored: it is no range of bytes, or several.

    Raises:
      Problem: 416, it lies behind the end.
    """
    found = _RANGE.fullmatch(text.strip())
    if not found or found["first"] == found["last"] == "":
        return None
    first, last = found["first"], found["last"]
    if first == "":
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None
    if start >= size:
        behind = {"Content-Range": f"bytes */{size}"}
        raise Problem(416, f"the range {text} lies behind the end, at {size} bytes", headers=behind)
    return start, end


def _content(
    store: ObjectStore, key: str, asked: tuple[Stat, Wanted], headers: dict[str, str]
) -> StreamingResponse | None:
    """Open the key and answer; None when it is not any more what it was."""
    stat, wanted = asked
    holds = wanted.if_range is None or wanted.if_range.strip() == headers["ETag"]
    part = byte_range(wanted.range, stat.size) if wanted.range and holds else None
    start, end = part or (0, stat.size)
    content = store.stream(key, *part) if part else store.stream(key)
    if content.stat != stat:
        content.close()
        return None
    headers = headers | {"Content-Length": str(end - start)}
    if part:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{stat.size}"
    return StreamingResponse(content.chunks, 206 if part else 200, headers)
