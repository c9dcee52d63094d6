"""Images as cameras, scanners and browsers leave them."""

import io
import struct
import zlib

import pytest
from PIL import Image

from slipway.dataset.boxes import Box, ImageSize

from services.ingest.images import BrokenImage
from services.ingest.repair import read_picture, upright_box

RED, BLUE = (200, 30, 30), (30, 30, 200)
SQUARE = Box(10, 5, 30, 25)


def scene(mode="RGB"):
    """A blue picture of 80 × 60 with a red square at `SQUARE`."""
    picture = Image.new("RGB", (80, 60), BLUE)
    picture.paste(RED, tuple(int(v) for v in SQUARE))
    return picture.convert(mode)


def encode(picture, kind, **options):
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def encode_turned(picture, orientation):
    """Store the picture as a camera does that was held otherwise: EXIF says how to turn it back."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encode(picture, "JPEG", quality=95, exif=exif)


def decode(content):
    return Image.open(io.BytesIO(content))


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        pytest.param(encode(scene(), "JPEG"), "jpeg", id="jpeg"),
        pytest.param(encode(scene("L"), "JPEG"), "jpeg", id="grey-jpeg"),
        pytest.param(encode(scene("CMYK"), "JPEG"), "jpeg", id="cmyk-jpeg"),
        pytest.param(encode(scene(), "PNG"), "png", id="png"),
        pytest.param(encode(scene("P"), "PNG"), "png", id="palette-png"),
        pytest.param(encode(scene("RGBA"), "PNG"), "png", id="rgba-png"),
    ],
)
def test_whole_jpeg_and_png_are_stored_as_they_are(content, kind):
    picture = read_picture(content)
    assert (picture.content, picture.format, picture.size, picture.original_format) == (
        content,
        kind,
        ImageSize(80, 60),
        "",
    )


@pytest.mark.parametrize(
    ("kind", "mode"), [("BMP", "RGB"), ("GIF", "P"), ("TIFF", "RGB"), ("TIFF", "CMYK"), ("WEBP", "RGB")], ids=str
)
def test_other_formats_become_png(kind, mode):
    options = {"lossless": True} if kind == "WEBP" else {}
    picture = read_picture(encode(scene(mode), kind, **options))
    assert (picture.format, picture.original_format, picture.size) == ("png", kind, ImageSize(80, 60))
    red, _, blue = decode(picture.content).convert("RGB").getpixel((20, 15))
    assert red > 150 > blue


def test_sixteen_bits_become_eight_without_turning_white():
    grey = Image.new("I;16", (8, 8), 32768)
    picture = read_picture(encode(grey, "TIFF"))
    assert decode(picture.content).getpixel((3, 3)) == 128


@pytest.mark.parametrize("orientation", range(2, 9))
def test_turned_photo_is_stored_upright_with_its_box(orientation):
    picture = read_picture(encode_turned(scene(), orientation))
    box = upright_box(SQUARE, picture.raw_size, orientation)
    upright = decode(picture.content)
    assert picture.size == ImageSize(*upright.size) == ImageSize(*((80, 60) if orientation < 5 else (60, 80)))
    assert upright.getexif().get(0x0112, 1) == 1
    for x, y in ((box.xmin + 4, box.ymin + 4), (box.xmax - 4, box.ymax - 4)):
        assert upright.getpixel((int(x), int(y)))[0] > 150
    assert upright.getpixel((int(box.xmax + 4) % upright.width, int(box.ymax + 4) % upright.height))[2] > 150


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(2, 9))
def test_other_formats_are_turned_too(orientation, kind):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    picture = read_picture(encode(scene(), kind, exif=exif, **options))
    box = upright_box(SQUARE, picture.raw_size, orientation)
    stored_image = decode(picture.content)
    assert (picture.format, picture.orientation, picture.raw_size) == ("png", orientation, ImageSize(80, 60))
    assert picture.size == ImageSize(*stored_image.size)
    assert stored_image.getpixel((int(box.xmin), int(box.ymin))) == RED
    assert stored_image.getpixel((int(box.xmax) - 1, int(box.ymax) - 1)) == RED


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("exif", [b"", b"garbage!", b"II*\0\xff\xff\xff\x7f", b"MM\0*\0\0\0\x08\0\x01\x01\x12"])
def test_broken_exif_is_no_reason_to_refuse_a_photo(exif):
    photo, segment = encode(scene(), "JPEG"), b"Exif\0\0" + exif
    content = photo[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + photo[2:]
    assert read_picture(content).content == content


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF", "PNG"])
def test_first_picture_of_several_is_used_and_told(kind):
    picture = read_picture(encode(scene(), kind, save_all=True, append_images=[Image.new("RGB", (80, 60))]))
    assert picture.is_first_of_many
    assert decode(picture.content).convert("RGB").getpixel((20, 15))[0] > 150
    assert not read_picture(encode(scene(), kind)).is_first_of_many


def test_orientation_that_exif_does_not_know_is_upright():
    content = encode_turned(scene(), 9)
    assert read_picture(content).content == content


def cut(content, share=0.6):
    return content[: int(len(content) * share)]


def with_thumbnail():
    """A photo whose EXIF holds a whole small JPEG: its end mark is not the photo's."""
    thumbnail = encode(scene().resize((16, 12)), "JPEG")
    segment = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 8) + b"Exif\0\0" + thumbnail
    photo = encode(scene().resize((400, 300)), "JPEG")
    return photo[:2] + segment + photo[2:]


@pytest.mark.parametrize(
    ("content", "code", "says"),
    [
        pytest.param(b"", "image_unreadable", "is empty: 0 bytes", id="empty"),
        pytest.param(b"<!doctype html>", "image_unreadable", "is a web page, which cannot be read", id="page"),
        pytest.param(
            b"no image at all", "image_unreadable", "not an image .* begins with b'no image at all'", id="text"
        ),
        pytest.param(cut(encode(scene().resize((400, 300)), "JPEG")), "image_truncated", "cut off", id="jpeg"),
        pytest.param(cut(with_thumbnail(), 0.8), "image_truncated", "cut off", id="jpeg-with-thumbnail"),
        pytest.param(cut(encode(scene(), "PNG")), "image_truncated", "damaged or cut off", id="png"),
        pytest.param(cut(encode(scene(), "TIFF")), "image_truncated", "damaged or cut off", id="tiff"),
        pytest.param(
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
            "image_unreadable",
            "is PostScript, which cannot be read",
            id="eps",
        ),
    ],
)
def test_broken_image_says_what_is_wrong_with_it(content, code, says):
    with pytest.raises(BrokenImage, match=says) as error_info:
        read_picture(content)
    assert error_info.value.code == code


def test_bytes_behind_the_end_are_no_fault():
    content = encode(scene(), "JPEG") + b"\0" * 100 + b"camera notes"
    assert read_picture(content).content == content


def test_picture_of_too_many_pixels_is_refused_before_it_is_decoded():
    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", 12_000, 12_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    with pytest.warns(Image.DecompressionBombWarning), pytest.raises(BrokenImage, match="12000 × 12000") as error_info:
        read_picture(bomb)
    assert error_info.value.code == "image_too_large"
