"""Chunks and data of PNGs."""

import io
import struct
import zlib

import pytest
from PIL import Image, PngImagePlugin

from services.ingest.images import BrokenImage
from services.ingest.images.png import SIGNATURE, read_png


def encode(mode="RGB", **options):
    out = io.BytesIO()
    Image.effect_noise((37, 23), 60).convert(mode).save(out, "PNG", **options)
    return out.getvalue()


def chunk(name, content=b""):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(*chunks, depth=8, colour_type=0, methods=(0, 0, 0), size=(4, 3)):
    header = struct.pack(">IIBBBBB", *size, depth, colour_type, *methods)
    return SIGNATURE + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IEND")


def data(*rows):
    return zlib.compress(b"".join(b"\0" + row for row in rows))


ROWS = [b"abcd"] * 3


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "I;16"])
def test_every_kind_of_pixels_is_strict(mode):
    content = encode(mode)
    image = read_png(content)
    assert image.is_strict()
    assert image.without_texts() is content


@pytest.mark.parametrize("size", [(1, 1), (4, 3), (5, 5), (8, 8), (9, 17)])
def test_length_of_interlaced_data_is_that_of_their_passes(size):
    width, height = size
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    rows = [
        bytes(len(range(x, width, step_x)))
        for x, y, step_x, step_y in passes
        for _ in range(y, height, step_y)
        if x < width
    ]
    assert read_png(png(chunk(b"IDAT", data(*rows)), methods=(0, 0, 1), size=size)).is_strict()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(png(chunk(b"IDAT", data(*ROWS[1:]))), id="a-row-missing"),
        pytest.param(png(chunk(b"IDAT", data(*ROWS, ROWS[0]))), id="a-row-too-many"),
        pytest.param(png(chunk(b"IDAT", data(*ROWS)[:-4])), id="no-checksum-of-the-data"),
        pytest.param(png(chunk(b"IDAT", b"abc")), id="not-compressed"),
        pytest.param(png(chunk(b"IDAT", data(*ROWS)), colour_type=3), id="no-palette"),
        pytest.param(png(chunk(b"IDAT", data(*ROWS)), chunk(b"PLTE", b"abc")), id="palette-behind-the-data"),
        pytest.param(
            png(chunk(b"PLTE", b"abcd"), chunk(b"IDAT", data(*ROWS)), colour_type=3), id="a-third-of-a-colour"
        ),
        pytest.param(png(chunk(b"IDAT", data(*ROWS)), methods=(1, 0, 0)), id="unknown-compression"),
        pytest.param(png(), id="no-data"),
    ],
)
def test_png_that_training_cannot_read_is_not_strict(content):
    assert not read_png(content).is_strict()


def test_data_that_would_fill_the_memory_are_not_decompressed_to_their_end():
    assert not read_png(png(chunk(b"IDAT", zlib.compress(bytes(50_000_000), 1)))).is_strict()


def test_texts_are_left_out_and_all_else_is_kept():
    texts = PngImagePlugin.PngInfo()
    texts.add_text("workflow", "x" * 3_000_000, zip=True)
    texts.add_text("comment", "drawn")
    content = encode(pnginfo=texts, dpi=(72, 72))
    names = [chunk.name for chunk in read_png(read_png(content).without_texts()).chunks]
    assert names == [b"IHDR", b"pHYs", b"IDAT", b"IEND"]


@pytest.mark.parametrize(
    ("content", "says", "code"),
    [
        pytest.param(encode()[:-12], "has no end chunk", "image_truncated", id="cut-off"),
        pytest.param(encode()[:200] + b"!" + encode()[201:], "wrong checksum at byte 33", "image_truncated", id="bits"),
        pytest.param(
            SIGNATURE + chunk(b"CgBI", b"abcd") + encode()[8:],
            "variant of PNG .*'CgBI'",
            "image_unreadable",
            id="apple",
        ),
        pytest.param(SIGNATURE + chunk(b"IEND"), "does not begin with a header", "image_truncated", id="no-header"),
    ],
)
def test_broken_file_says_what_is_wrong(content, says, code):
    with pytest.raises(BrokenImage, match=says) as error_info:
        read_png(content)
    assert error_info.value.code == code
