"""One file of a source, read when its content is needed."""

import json
import math
from functools import cached_property
from typing import Any

from slipway.dataset.source_folder import read_file
from slipway.errors import AnnotationError, InputError, MissingKey
from slipway.store.interface import ObjectStore

# Of a file of many images. Parsed, it takes about six times as much memory; COCO's largest has 470 MB.
_MOST_BYTES = 512 << 20
_HEAD_BYTES = 4096  # enough for the root element of an XML file and for the first lines of a table


class SourceFile:
    """A file that may hold annotations.

    Attributes:
      key: In the source.
      has_image: An image of the source has the same name, but for the suffix.
    """

    def __init__(self, key: str, source: ObjectStore, has_image: bool = False) -> None:
        self.key, self.source, self.has_image = key, source, has_image

    def read(self) -> bytes:
        """Return the content. Raises `InputError` if the file cannot be read."""
        return read_file(self.source, self.key)

    @cached_property
    def head(self) -> bytes:
        """The first bytes of the file."""
        try:
            content = self.source.stream(self.key, 0, _HEAD_BYTES)
            return b"".join(content.chunks)
        except MissingKey as error:
            raise InputError(
                f"{self.source.url}/{self.key}: cannot be read; remove it, or mend what it links to"
            ) from error

    @cached_property
    def json(self) -> Any:
        """The content as JSON; NaN and infinite numbers are NaN. Raises `AnnotationError`."""
        return parse_json(self.read_limited())

    def head_lines(self) -> list[str]:
        """Return the whole lines at the beginning of the file that are not blank; none if it is not text."""
        is_whole = len(self.head) < _HEAD_BYTES
        head = self.head if is_whole else self.head[: self.head.rfind(b"\n") + 1]
        try:
            return [line for line in head.decode("utf-8-sig").splitlines() if line.strip()]
        except UnicodeDecodeError:
            return []

    def read_limited(self) -> bytes:
        """Return the content of a file of many images. Raises `AnnotationError` if it is too large for the memory."""
        content = self.source.stream(self.key)
        if content.stat.size > _MOST_BYTES:
            content.close()
            raise AnnotationError(
                f"has {content.stat.size:,} bytes, at most {_MOST_BYTES:,} are read; export it in parts"
            )
        return b"".join(content.chunks)


def parse_json(content: bytes) -> Any:
    """Parse a JSON document of strangers.

    Raises:
      AnnotationError: It is not JSON, or too deep.
    """
    try:
        return json.loads(content, parse_constant=lambda _: math.nan)
    except RecursionError as error:
        raise AnnotationError("has too many lists or objects within one another; export it again") from error
    except json.JSONDecodeError as error:
        raise AnnotationError(
            f"line {error.lineno}, column {error.colno}: cannot be parsed as JSON ({error.msg})"
        ) from error
    except ValueError as error:  # not UTF-8, or a number of thousands of digits
        raise AnnotationError(f"cannot be parsed as JSON: {error}") from error
