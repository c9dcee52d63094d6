"""Image files that are read, and images that are drawn."""

import io

import numpy as np
import pytest
from PIL import Image

from slipway.dataset.boxes import Box
from slipway.errors import InputError

from services.detector.detect import Detection
from services.detector.images import draw_detections, drawn_names, is_image_name, read_image


def encode(image: Image.Image, file_format: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def test_an_image_is_turned_upright_as_its_exif_says() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned by 90 degrees

    image = read_image(encode(Image.new("RGB", (40, 20)), "JPEG", exif=exif), "a.jpg")

    assert image.size == (20, 40)


@pytest.mark.parametrize("file_format", ["BMP", "GIF", "PNG", "TIFF", "WEBP"])
def test_any_format_is_read_as_rgb_whatever_its_name(file_format: str) -> None:
    image = read_image(encode(Image.new("L", (8, 6), 200), file_format), "a.jpg")

    assert (image.mode, image.size) == ("RGB", (8, 6))


def test_sixteen_bits_a_pixel_become_eight() -> None:
    content = encode(Image.fromarray(np.array([[0, 32768, 65535]], np.uint16)), "PNG")

    assert np.asarray(read_image(content, "a.png"))[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize(
    "content",
    [b"", b"<html></html>", encode(Image.effect_noise((99, 99), 50), "JPEG")[:-400], b"%!PS-Adobe-3.0 EPSF-3.0\n"],
    ids=["empty", "html", "truncated", "postscript"],
)
def test_a_file_that_is_not_an_image_is_named(content: bytes) -> None:
    with pytest.raises(InputError, match=r"deep/a\.jpg: not read as an image: .*; open and save it"):
        read_image(content, "deep/a.jpg")


def test_a_drawn_image_is_a_jpeg_of_the_same_size() -> None:
    content = draw_detections(Image.new("RGB", (64, 48)), [Detection("cat", 1, 0.5, Box(2, 2, 30, 30))])

    with Image.open(io.BytesIO(content)) as image:
        assert (image.format, image.size) == ("JPEG", (64, 48))


def test_drawn_images_keep_their_folders_and_never_share_a_name() -> None:
    assert drawn_names(["a/b.png", "c.JPG"]) == {"a/b.png": "a/b.jpg", "c.JPG": "c.jpg"}
    assert drawn_names(["b.png", "b.jpg"]) == {"b.png": "b.png.jpg", "b.jpg": "b.jpg.jpg"}


@pytest.mark.parametrize(
    ("name", "is_image"),
    [("a.JPG", True), ("a.webp", True), ("a.HEIC", True), ("a.xml", False), ("a.eps", False), ("a", False)],
)
def test_an_image_is_recognized_by_its_suffix(name: str, is_image: bool) -> None:
    assert is_image_name(name) is is_image


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0, 2048, 4095], [0, 128, 255]), ([0, 100, 200], [0, 100, 200])],
    ids=["12-bits", "8-bits"],
)
def test_fewer_bits_in_sixteen_are_as_bright_as_in_training(values, expected):
    content = encode(Image.fromarray(np.array([values], np.uint16)), "PNG")
    assert np.asarray(read_image(content, "a.png"))[0, :, 0].tolist() == expected
