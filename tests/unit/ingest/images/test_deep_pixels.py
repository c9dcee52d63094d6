"""Pixels of more than eight bits."""

import io
import struct
import zlib

import pytest
from PIL import Image

from services.ingest.images import BrokenImage
from services.ingest.images.deep_pixels import reduce_to_eight_bits
from services.ingest.repair import read_picture


def encode(picture, kind):
    out = io.BytesIO()
    picture.save(out, kind)
    return out.getvalue()


def grey(mode, *values):
    picture = Image.new(mode, (len(values), 1))
    for x, value in enumerate(values):
        picture.putpixel((x, 0), value)
    return picture


def pixels(picture):
    return [picture.getpixel((x, 0)) for x in range(picture.width)]


@pytest.mark.parametrize(
    ("mode", "values", "expected", "message"),
    [
        ("I;16", (0, 255), [0, 255], "has 16 bits a pixel, but uses 8"),
        ("I;16", (0, 512, 1023), [0, 128, 255], "has 16 bits a pixel, but uses 10"),
        ("I;16", (0, 2048, 3000), [0, 128, 187], "has 16 bits a pixel, but uses 12"),
        ("I;16", (0, 16_000), [0, 250], "has 16 bits a pixel, but uses 14"),
        ("I;16", (0, 32_768, 65_535), [0, 128, 255], None),
        ("I", (0, 2048, 3000), [0, 128, 187], "has 32 bits a pixel, but uses 12"),
        ("I", (0, 1 << 30), [0, 64], "has 32 bits a pixel, but uses 32"),
        ("I", (-100, 0, 100), [0, 127, 255], "has pixels from -100 to 100"),
        ("F", (0.0, 0.5, 1.0), [0, 127, 255], "has pixels from 0 to 1"),
    ],
)
def test_pixels_are_scaled_by_the_bits_that_are_used(mode, values, expected, message):
    picture, note = reduce_to_eight_bits(grey(mode, *values))
    assert pixels(picture) == expected
    assert (note and note[2:]) == (message and (message, "scaled to 8 bits"))


def test_pixels_that_are_no_numbers_are_refused():
    with pytest.raises(BrokenImage, match="not numbers"):
        reduce_to_eight_bits(grey("F", 0.0, float("inf")))


@pytest.mark.parametrize("kind", ["TIFF", "PNG"])
def test_twelve_bits_in_sixteen_are_stored_bright(kind):
    picture = read_picture(encode(grey("I;16", 0, 2048, 4095), kind))
    assert (picture.format, [note[0] for note in picture.notes]) == ("png", ["deep_pixels"])
    assert pixels(Image.open(io.BytesIO(picture.content))) == [0, 128, 255]


def colour_png(value):
    """A PNG of one pixel with 16 bits in each of three channels."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    data = zlib.compress(b"\0" + struct.pack(">HHH", value, value, value))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def test_colours_of_sixteen_bits_are_kept_but_refused_where_they_would_become_black():
    bright = colour_png(40_000)
    assert read_picture(bright).content == bright
    with pytest.raises(BrokenImage, match="16 bits a channel, but uses at most 14 of them") as error_info:
        read_picture(colour_png(4_095))
    assert error_info.value.code == "deep_pixels"
