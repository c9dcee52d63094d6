"""A file whose content is divided into parts of equal size, read one at a time."""

import io
from collections.abc import Callable


class PartFile(io.RawIOBase):
    """The parts as one file.

    Only one part is in memory: archives are read forwards, but for a zip's directory at the end.

    Args:
      read_part: Returns the content of a part by its number, from 1.
      part_bytes: Size of every part but the last.
      size: Of all parts together.
    """

    def __init__(self, read_part: Callable[[int], bytes], part_bytes: int, size: int) -> None:
        self._read_part, self._part_bytes, self._size = read_part, part_bytes, size
        self._offset, self._number, self._content = 0, 0, b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._offset, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"there is nothing {-base - offset} bytes before the beginning")
        self._offset = base + offset
        return self._offset

    def tell(self) -> int:
        return self._offset

    def readinto(self, target: memoryview) -> int:  # type: ignore[override]
        if self._offset >= self._size:
            return 0
        number, start = self._offset // self._part_bytes + 1, self._offset % self._part_bytes
        if number != self._number:
            self._content = b""  # so that two parts are never in memory together
            self._number, self._content = number, self._read_part(number)
        content = self._content[start : start + len(target)]
        target[: len(content)] = content
        self._offset += len(content)
        return len(content)
