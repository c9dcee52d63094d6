"""A parser of server-sent events."""

import codecs
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class ServerEvent:
    """One event.

    Attributes:
      name: Type of the event; `message` unless the server names another.
      data: Lines of data, joined.
      id: The newest id so far, from which the stream continues after an interruption.
    """

    name: str
    data: str
    id: str


def parse_events(chunks: Iterable[bytes], last_id: str = "") -> Iterator[ServerEvent]:
    """Yield the events of a stream as they arrive, wherever its chunks end; drop an incomplete last event.

    Comments, which keep the connection alive, yield nothing. An event that has a name and no data is yielded, too.

    Source: WHATWG HTML, section 9.2.6, "Interpreting an event stream".
    """
    name, data = "", list[str]()
    for line in _lines(chunks):
        if not line:
            if data or name:
                yield ServerEvent(name or "message", "\n".join(data), last_id)
            name, data = "", []
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match field:
            case "data":
                data.append(value)
            case "event":
                name = value
            case "id" if "\0" not in value:
                last_id = value


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    utf8 = codecs.getincrementaldecoder("utf-8-sig")("replace")
    decoder = io.IncrementalNewlineDecoder(utf8, translate=True)  # of \r, \n and \r\n, cut or not, it makes \n
    rest = ""
    for chunk in chunks:
        *lines, rest = (rest + decoder.decode(chunk)).split("\n")
        yield from lines
