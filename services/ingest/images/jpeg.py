"""The check of a JPEG: its markers, and whether its compressed data end where its pixels do.

TensorFlow refuses a file without an end marker, or with a marker that does not exist; Pillow reads both. Both read over
damaged data without a word, and the rest of the picture is grey or shifted.
"""

import io
import re
from dataclasses import dataclass

from PIL import Image

from services.ingest.images import BrokenImage

_BASELINE, _STORED_PROCESSES = (0xC0, 0xC1), (0xC0, 0xC1, 0xC2)  # sequential; and progressive
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # markers that begin a frame
_START_OF_SCAN, _END = 0xDA, 0xD9
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})
_MARKER = re.compile(rb"\xff+[^\x00\xff]")
_MARKER_IN_SCAN = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")  # stuffed bytes and restarts belong to the data
_SURPLUS_BYTES = 24  # between the last pixel and the end marker; some cameras write a few
_MISSING_BYTES = 8  # fewer cannot be noticed, since the decoder looks ahead


@dataclass(frozen=True, slots=True)
class JpegLayout:
    """The parts of a JPEG.

    Attributes:
      process: The marker of its frame: 0xC0 and 0xC1 are sequential, 0xC2 is progressive.
      scans: Number of scans.
      data: Where the data of the first scan begin.
      end: Where the end marker is.
    """

    process: int
    scans: int
    data: int
    end: int

    @property
    def is_stored(self) -> bool:
        """Whether TensorFlow reads files of this process."""
        return self.process in _STORED_PROCESSES


def read_layout(content: bytes) -> JpegLayout:
    """Follow the markers of a JPEG to the end marker of its first picture.

    Raises:
      BrokenImage: A marker does not exist, or there is no end marker.
    """
    process = scans = data = position = 0
    while match := (_MARKER_IN_SCAN if scans else _MARKER).search(content, position):
        marker, position = content[match.end() - 1], match.end()
        if marker == _END:
            return JpegLayout(process, scans, data, match.start())
        if marker in _WITHOUT_LENGTH:
            continue
        if marker < 0xC0 or 0xF0 <= marker < 0xFE:
            raise BrokenImage("image_truncated", f"is damaged: it has a marker 0x{marker:02x} at byte {position - 2}")
        process = marker if marker in _FRAMES else process
        position += int.from_bytes(content[position : position + 2], "big")
        if marker == _START_OF_SCAN:
            scans, data = scans + 1, data or position
    raise BrokenImage("image_truncated", "is damaged or cut off: it has no end marker")


def is_damaged(content: bytes, layout: JpegLayout) -> bool:
    """Decode the picture at an eighth of its size, and check whether the data end with the pixels.

    Damaged data decode to too many or too few pixels. A progressive file is decoded, but only errors of its decoder are
    noticed: its data are in several scans.

    Raises:
      OSError: It cannot be decoded.
    """
    if layout.process not in _BASELINE or layout.scans != 1:
        _decode(io.BytesIO(content))
        return False
    data = _PausedBytes(content[: layout.end] + bytes(_MISSING_BYTES), max(layout.data, layout.end - _SURPLUS_BYTES))
    try:
        _decode(data)
    except OSError:
        if not data.has_resumed:
            raise
        return True  # the decoder asks for more data
    return not data.has_resumed


def _decode(file: io.BytesIO) -> None:
    with Image.open(file, formats=("JPEG",)) as image:
        image.draft("L", (1, 1))
        image.load()


class _PausedBytes(io.BytesIO):
    """A file whose reads stop once at a position; it notes whether anything behind it is asked for."""

    def __init__(self, content: bytes, pause: int) -> None:
        super().__init__(content)
        self._pause = pause
        self.has_resumed = False

    def read(self, size: int | None = -1, /) -> bytes:
        before_pause = self._pause - self.tell()
        if before_pause > 0:
            return super().read(before_pause if size is None or size < 0 else min(size, before_pause))
        self.has_resumed = True
        return super().read(size)
