"""One file of a multipart/form-data body, read as it arrives; the framework's own reader would spool it to disk."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from fastapi import Request
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from slipway.http.problems import Problem

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks


async def field_content(request: Request, field: str) -> AsyncIterator[bytes]:
    """Yield the content of one field.

    Raises:
      Problem: 400 when the body contradicts its Content-Type, 422 when it has no such field, or two.
    """
    reader = _FieldReader(field)
    _, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary", b"")
    if not boundary:
        raise Problem(400, "the Content-Type multipart/form-data has no boundary; let your client set it")
    parser = MultipartParser(boundary, reader.callbacks())
    async for chunk in request.stream():
        try:
            parser.write(chunk)
        except MultipartParseError as error:
            raise Problem(400, f"the body is no multipart/form-data: {error}") from error
        for content in reader.take():
            yield content
    if not reader.has_ended:
        raise Problem(400, "the body of multipart/form-data ends before its last boundary; send it again")
    if reader.count != 1:
        raise Problem(422, f"the form has {reader.count or 'no'} fields {field!r}; send one")


class _FieldReader:
    """Collects the content of one field.

    Attributes:
      count: Fields of that name so far.
    """

    def __init__(self, field: str) -> None:
        self._field = field.encode()
        self._name, self._value = b"", b""
        self._is_wanted = False
        self._content: list[bytes] = []
        self.count, self.has_ended = 0, False

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
        content, self._content = self._content, []
        return content

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
            self.count += 1

    def _data(self, content: bytes, start: int, end: int) -> None:
        if self._is_wanted:
            self._content.append(content[start:end])

    def _end(self) -> None:
        self.has_ended = True
