"""One field of a form, however its body arrives."""

import asyncio

import httpx
import pytest
from fastapi import Request

from slipway.http.multipart import field_content
from slipway.http.problems import Problem

CONTENT = bytes(range(256)) * 3
OPENED = b'--x\r\nContent-Disposition: form-data; name="'


def request(body, content_type, piece_bytes):
    pieces = [body[start : start + piece_bytes] for start in range(0, len(body), piece_bytes)]
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive():
        return messages.pop(0)

    return Request({"type": "http", "headers": [(b"content-type", content_type.encode())]}, receive)


def read(body, content_type, piece_bytes=1 << 20):
    async def collect():
        return b"".join([chunk async for chunk in field_content(request(body, content_type, piece_bytes), "archive")])

    return asyncio.run(collect())


@pytest.mark.parametrize("piece_bytes", [1 << 20, 7, 1])
def test_a_field_is_read_whatever_the_size_of_the_pieces_and_the_other_fields(piece_bytes):
    files = {"archive": ("ponds.zip", CONTENT, "application/zip"), "other": ("a.txt", b"not this")}
    form = httpx.Request("POST", "http://api/", files=files, data={"note": "ducks"})
    assert read(form.read(), form.headers["content-type"], piece_bytes) == CONTENT


@pytest.mark.parametrize(
    ("body", "boundary", "status", "reason"),
    [
        (b"", "", 400, "has no boundary"),
        (b"nonsense", "; boundary=x", 400, "is no multipart/form-data"),
        (OPENED + b'archive"\r\n\r\nPK', "; boundary=x", 400, "ends before"),
        (OPENED + b'other"\r\n\r\nPK\r\n--x--\r\n', "; boundary=x", 422, "no fields 'archive'"),
    ],
    ids=["no-boundary", "nonsense", "cut", "other-field"],
)
def test_a_form_is_refused(body, boundary, status, reason):
    with pytest.raises(Problem, match=reason) as raised:
        read(body, f"multipart/form-data{boundary}")
    assert raised.value.status_code == status
