"""Names of formats that cannot be read."""

import pytest

from services.ingest.images.unreadable import describe_unreadable


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0", "HEIF"),
        (b"\0\0\0\x18ftypisom\0\0\0\0", "a video"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"\n<!DOCTYPE HTML><html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1", "a pointer of Git LFS, not the file itself"),
    ],
)
def test_format_is_named(content, name):
    assert describe_unreadable(content) == f"is {name}, which cannot be read: save it as JPEG or PNG"


def test_unknown_format_is_described_by_its_beginning():
    assert describe_unreadable(b"??").endswith("begins with b'??'")
