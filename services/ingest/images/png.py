"""The check of a PNG: its chunks with their checksums, and whether its compressed data are as long as its pixels.

Pillow stops at texts that are longer than it wants to keep, and reads over chunks in a wrong order and over data that
are too long; TensorFlow refuses the latter.
"""

import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from services.ingest.images import BrokenImage

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_KNOWN = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
# One letter a chunk: header, palette, data, end, and any other, which may stand anywhere but among the data.
_ORDER = re.compile("Ho*(?:Po*)?D+o*E")
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
_PALETTE_TYPE = 3
_PALETTE_BYTES = range(3, 769, 3)
_METHODS = ((0, 0, 0), (0, 0, 1))
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))  # Adam7
_BLOCK = 1 << 20  # bytes that are decompressed at once


class Chunk(NamedTuple):
    """A chunk's name, and where in the file it begins and ends, with its length and checksum."""

    name: bytes
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Png:
    """A PNG of which all checksums are right.

    Attributes:
      depth: Bits a channel.
      methods: Of compression, filters and interlacing: (0, 0, 0), or (0, 0, 1) if it is interlaced.
    """

    content: bytes
    chunks: Sequence[Chunk]
    width: int
    height: int
    depth: int
    colour_type: int
    methods: tuple[int, int, int]

    def has(self, name: bytes) -> bool:
        return any(chunk.name == name for chunk in self.chunks)

    def without_texts(self) -> bytes:
        """Return the file without its texts, which no decoder of pixels needs."""
        if not any(chunk.name in _TEXTS for chunk in self.chunks):
            return self.content
        kept_chunks = (self.content[chunk.start : chunk.end] for chunk in self.chunks if chunk.name not in _TEXTS)
        return SIGNATURE + b"".join(kept_chunks)

    def is_strict(self) -> bool:
        """Check that the chunks are in order, and that the data are as long as the pixels and end with a checksum."""
        letters = {b"IHDR": "H", b"PLTE": "P", b"IDAT": "D", b"IEND": "E"}
        order = "".join(letters.get(chunk.name, "o") for chunk in self.chunks)
        palettes = [chunk.end - chunk.start - 12 for chunk in self.chunks if chunk.name == b"PLTE"]
        is_palette_right = all(length in _PALETTE_BYTES for length in palettes)
        if not is_palette_right or self.methods not in _METHODS or (self.colour_type == _PALETTE_TYPE and not palettes):
            return False
        return bool(_ORDER.fullmatch(order)) and self._pixel_bytes() == self._data_bytes()

    def _pixel_bytes(self) -> int:
        """Return the length of the rows, each with the byte of its filter."""
        passes = _PASSES if self.methods[2] else ((0, 0, 1, 1),)
        total = 0
        for x, y, step_x, step_y in passes:
            columns, rows = -(-(self.width - x) // step_x), -(-(self.height - y) // step_y)
            if columns > 0 and rows > 0:
                total += rows * (1 + -(-columns * self.depth * _CHANNELS.get(self.colour_type, 0) // 8))
        return total

    def _data_bytes(self) -> int:
        """Return the length of the decompressed data; -1 if they are damaged or do not end."""
        decompressor, total = zlib.decompressobj(), 0
        try:
            for chunk in self.chunks:
                data = self.content[chunk.start + 8 : chunk.end - 4] if chunk.name == b"IDAT" else b""
                while data and total <= self._pixel_bytes():
                    total += len(decompressor.decompress(data, _BLOCK))
                    data = decompressor.unconsumed_tail
        except zlib.error:
            return -1
        return total if decompressor.eof else -1


def read_png(content: bytes) -> Png:
    """Read the chunks of a PNG and compare their checksums.

    Raises:
      BrokenImage: It is cut off or damaged, or has a chunk of a variant of PNG.
    """
    chunks = list(_chunks(content))
    if chunks[0].name != b"IHDR" or chunks[0].end - chunks[0].start != 25:
        raise BrokenImage("image_truncated", "is damaged: it does not begin with a header")
    width, height, depth, colour_type, *methods = struct.unpack_from(">IIBBBBB", content, chunks[0].start + 8)
    compression, filters, interlacing = methods
    return Png(content, chunks, width, height, depth, colour_type, (compression, filters, interlacing))


def _chunks(content: bytes) -> Iterator[Chunk]:
    position = len(SIGNATURE)
    while True:
        name = content[position + 4 : position + 8]
        end = position + 12 + int.from_bytes(content[position : position + 4], "big")
        if len(name) < 4 or end > len(content):
            raise BrokenImage("image_truncated", "is damaged or cut off: it has no end chunk")
        if zlib.crc32(memoryview(content)[position + 4 : end - 4]) != int.from_bytes(content[end - 4 : end], "big"):
            raise BrokenImage("image_truncated", f"is damaged or cut off: wrong checksum at byte {position}")
        if name[:1].isupper() and name not in _KNOWN:
            message = f"is a variant of PNG with a chunk {name.decode('latin-1')!r}, which cannot be read"
            raise BrokenImage("image_unreadable", message)
        yield Chunk(name, position, end)
        if name == b"IEND":
            return
        position = end
