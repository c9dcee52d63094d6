"""Small pictures of findings."""

import io

import pytest
from PIL import Image

from slipway import keys
from slipway.artifacts.dataset import Finding
from slipway.dataset.annotations import AnnotatedImage, LabeledBox
from slipway.dataset.boxes import Box, ImageSize
from slipway.dataset.labels import LabelMap
from slipway.store.folder import FolderStore

from services.ingest.images.finding_pictures import choose_findings, draw_findings


def image(name):
    boxes = (LabeledBox("ship", Box(10, 10, 50, 30)),)
    return AnnotatedImage(f"{name}.jpg", 1, name * 64, "jpeg", ImageSize(400, 200), boxes)


def finding(code, file, severity="warning", box=None):
    return Finding(code, severity, file, 0, "is wrong", "dropped", box)


IMAGES = {f"{name}.xml": image(name) for name in "abcdef"}


def test_errors_come_first_and_information_is_not_pictured():
    findings = [finding("box_tiny", "a.xml"), finding("duplicate_box", "a.xml", "info")]
    findings += [finding("box_outside", "b.xml", "error"), finding("image_missing", "gone.xml", "error")]
    assert [(item.code, item.file) for item in choose_findings(findings, IMAGES)] == [
        ("box_outside", "b.xml"),
        ("box_tiny", "a.xml"),
    ]


def test_at_most_four_images_of_a_code_are_chosen_those_with_most_findings_first():
    findings = [finding("box_tiny", f"{name}.xml") for name in "abcdeff"]
    assert [item.file for item in choose_findings(findings, IMAGES)] == ["f.xml", "a.xml", "b.xml", "c.xml"]


def test_at_most_24_pictures_are_chosen():
    findings = [finding(f"code_{number}", "a.xml") for number in range(30)]
    assert len(choose_findings(findings, IMAGES)) == 24


@pytest.mark.parametrize(
    ("box", "rectangle"),
    [
        ((300, 100, 500, 150), (75, 50, 25, 25)),
        ((150, 10, 50, 30), (12.5, 5, 25, 10)),
        ((900, 10, 950, 30), (99, 5, 1, 10)),
        (None, None),
    ],
    ids=["beyond the image", "swapped", "outside the image", "unknown"],
)
def test_picture_is_small_and_has_the_box_in_percent(tmp_path, box, rectangle):
    store, pixels = FolderStore(tmp_path), io.BytesIO()
    Image.new("CMYK", (400, 200)).save(pixels, "jpeg")
    store.write(keys.blob("a" * 64), pixels.getvalue())
    found = finding("box_outside", "a.xml", "error", box)
    (picture,) = draw_findings([found], IMAGES, LabelMap(("ship",)), store)
    assert Image.open(io.BytesIO(picture.jpeg)).size == (200, 100)
    assert picture.finding == found
    assert picture.box == rectangle
