"""Markers of JPEGs, and compressed data that are damaged."""

import io
import random

import pytest
from PIL import Image

from services.ingest.images import BrokenImage
from services.ingest.images.jpeg import is_damaged, read_layout


def encode(picture=None, **options):
    out = io.BytesIO()
    (picture or photo()).save(out, "JPEG", **{"quality": 80, **options})
    return out.getvalue()


def photo():
    """A picture with as much detail as a photograph: smooth, with noise."""
    noise = Image.effect_noise((160, 120), 60).resize((320, 240))
    return Image.merge("RGB", (noise, noise.transpose(Image.Transpose.ROTATE_180), noise))


def damage(content, kind, seed):
    start = random.Random(seed).randrange(len(content) // 3, len(content) * 2 // 3)
    if kind == "zeros":
        return content[:start] + bytes(512) + content[start + 512 :]
    if kind == "lost":
        return content[:start] + content[start + 512 :]
    return content[:start] + bytes(len(content) - start - 2) + content[-2:]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(encode(), id="baseline"),
        pytest.param(encode(photo().convert("L")), id="grey"),
        pytest.param(encode(photo().convert("CMYK")), id="cmyk"),
        pytest.param(encode(progressive=True), id="progressive"),
        pytest.param(encode(optimize=True, subsampling=0), id="optimized"),
        pytest.param(encode(restart_marker_blocks=4), id="restarts"),
        pytest.param(encode(Image.new("RGB", (3000, 2000), (9, 9, 9))), id="flat"),
        pytest.param(encode(Image.new("RGB", (1, 1))), id="one-pixel"),
        pytest.param(encode()[:-2] + bytes(20) + b"\xff\xd9", id="padded"),
        pytest.param(encode() + b"camera notes \xff\xd8\xff", id="bytes-behind-the-end"),
    ],
)
def test_whole_file_is_not_damaged(content):
    layout = read_layout(content)
    assert content[layout.end : layout.end + 2] == b"\xff\xd9"
    assert layout.is_stored
    assert not is_damaged(content, layout)


@pytest.mark.parametrize("kind", ["zeros", "lost", "zeros-to-the-end"])
@pytest.mark.parametrize("seed", range(5))
def test_data_that_end_before_or_behind_the_pixels_are_damaged(kind, seed):
    content = damage(encode(), kind, seed)
    assert is_damaged(content, read_layout(content))


def test_layout_tells_progressive_files_by_their_scans():
    baseline, progressive = read_layout(encode()), read_layout(encode(progressive=True))
    assert (baseline.process, baseline.scans, progressive.process) == (0xC0, 1, 0xC2)
    assert progressive.scans > 1


def test_file_of_an_arithmetic_coder_is_not_stored_as_it_is():
    content = encode()
    assert not read_layout(content.replace(b"\xff\xc0", b"\xff\xc9", 1)).is_stored


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(encode()[:-2], "no end marker", id="cut-off"),
        pytest.param(encode()[:-1000] + bytes(1000), "no end marker", id="zeros-to-the-end"),
        pytest.param(encode()[:-200] + b"\xff\x32" + encode()[-200:], "has a marker 0x32", id="no-such-marker"),
        pytest.param(b"\xff\xd8", "no end marker", id="beginning-alone"),
    ],
)
def test_file_that_training_would_crash_on_is_broken(content, says):
    with pytest.raises(BrokenImage, match=says) as error_info:
        read_layout(content)
    assert error_info.value.code == "image_truncated"
