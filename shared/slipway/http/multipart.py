"""One file of a multipart/form-data body, as it arrives: the framework's own reader would put all of it on disk."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from fastapi import Request
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from slipway.http.problems import Problem

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks


async def field_content(request: Request, field: str) -> AsyncIterator[bytes]:
    """Yield the content of a field, whatever surrounds it.

    Raises:
      Problem: 400 where the body is not what its Content-Type says, 422 where it has no such field, or has two.
    """
    reading = _Reading(field)
    _, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary", b"")
    if not boundary:
        raise Problem(400, "the Content-Type multipart/form-data has no boundary; let your client set it")
    parser = MultipartParser(boundary, reading.callbacks())
    async for chunk in request.stream():
        try:
            parser.write(chunk)
        except MultipartParseError as error:
            raise Problem(400, f"the body is no multipart/form-data: {error}") from error
        for content in reading.take():
            yield content
    if not reading.has_ended:
        raise Problem(400, "the body of multipart/form-data ends before its last boundary; send it again")
    if reading.found != 1:
        raise Problem(422, f"the form has {reading.found or 'no'} fields {field!r}; send one")


class _Reading:
    """What the parser has met so far.

    Attributes:
      found: Fields of the name.
    """

    def __init__(self, field: str) -> None:
        self._field = field.encode()
        self._name, self._value = b"", b""
        self._is_wanted = False
        self._content: list[bytes] = []
        self.found, self.has_ended = 0, False

    def callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_name,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_part_data": self._data,
            "on_end": self._end,
        }

    def take(self) -> list[bytes]:
        taken, self._content = self._content, []
        return taken

    def _begin(self) -> None:
        self._is_wanted = False

    def _header_name(self, content: bytes, start: int, end: int) -> None:
        self._name += content[start:end]

    def _header_value(self, content: bytes, start: int, end: int) -> None:
        self._value += content[start:end]

    def _header_end(self) -> None:
        name, value = self._name.lower(), self._value
        self._name = self._value = b""
        if name == b"content-disposition" and parse_options_header(value)[1].get(b"name") == self._field:
            self._is_wanted = True
            self.found += 1

    def _data(self, content: bytes, start: int, end: int) -> None:
        if self._is_wanted:
            self._content.append(content[start:end])

    def _end(self) -> None:
        self.has_ended = True
