from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from tests.fakes.harbour import DrawnBox, _annotation, _block, _box, _sprite, draw, draw_scene


@pytest.fixture(scope="module")
def harbour(tmp_path_factory):
    folder = tmp_path_factory.mktemp("harbour")
    draw(folder, images=40, seed=1)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*")}


def annotations(folder: Path) -> list[ElementTree.Element]:
    return [ElementTree.parse(path).getroot() for path in sorted((folder / "annotations").iterdir())]


def test_the_same_seed_draws_the_same_bytes_however_many_are_drawn(harbour, tmp_path):
    draw(tmp_path, images=5, seed=1)
    drawn = contents(tmp_path)
    assert sorted(drawn)[:2] == ["annotations/harbour-0001.xml", "annotations/harbour-0002.xml"]
    assert len(drawn) == 10
    assert drawn.items() <= contents(harbour).items()


def test_another_seed_draws_another_picture(harbour, tmp_path):
    draw(tmp_path, images=1, seed=2)
    assert contents(tmp_path)["images/harbour-0001.jpg"] != contents(harbour)["images/harbour-0001.jpg"]


def test_every_annotation_fits_its_image(harbour):
    for annotation in annotations(harbour):
        with Image.open(harbour / "images" / str(annotation.findtext("filename"))) as image:
            assert image.format == "JPEG"
            width, height = image.size
        assert (annotation.findtext("size/width"), annotation.findtext("size/height")) == (str(width), str(height))
        for box in annotation.iter("bndbox"):
            xmin, ymin, xmax, ymax = (int(str(box.findtext(n))) for n in ("xmin", "ymin", "xmax", "ymax"))
            assert 0 <= xmin < xmax <= width
            assert 0 <= ymin < ymax <= height


def test_every_label_is_drawn_and_some_images_are_empty(harbour):
    labels = [[name.text for name in annotation.iter("name")] for annotation in annotations(harbour)]
    assert {label for image in labels for label in image} == {"ship", "sailboat", "buoy"}
    assert [] in labels


def test_images_have_several_sizes(harbour):
    assert len({annotation.findtext("size/width") for annotation in annotations(harbour)}) > 3


def test_box_is_tight_around_the_visible_pixels():
    mask = np.zeros((20, 30), bool)
    mask[5:9, 10:16] = True
    assert _box(mask, "ship", area=24) == DrawnBox("ship", 10, 5, 16, 9, False)


def test_box_at_the_edge_is_truncated():
    mask = np.zeros((20, 30), bool)
    mask[5:9, 24:30] = True
    assert _box(mask, "ship", area=40) == DrawnBox("ship", 24, 5, 30, 9, True)


@pytest.mark.parametrize(("area", "is_kept"), [(24, True), (80, True), (81, False)])
def test_object_of_which_less_than_three_tenths_are_visible_has_no_box(area, is_kept):
    mask = np.zeros((20, 30), bool)
    mask[5:9, 10:16] = True
    assert (_box(mask, "ship", area) is not None) == is_kept


def test_hidden_object_has_no_box():
    assert _box(np.zeros((20, 30), bool), "ship", area=24) is None


def test_sprite_is_as_wide_as_asked_and_stands_on_its_waterline():
    sprite = _sprite([_block(0, 0, 1, 0.5, (1, 0, 0))], width=40, lean=0)
    assert sprite.shape == (20, 40, 4)
    assert sprite[-1, 20].tolist() == [1, 0, 0, 1]


def test_annotation_is_what_labelimg_saves():
    xml = _annotation("a.jpg", (30, 20), [DrawnBox("ship", 24, 5, 30, 9, True)])
    assert xml.decode() == (
        "<annotation>\n\t<folder>images</folder>\n\t<filename>a.jpg</filename>\n"
        "\t<size>\n\t\t<width>30</width>\n\t\t<height>20</height>\n\t\t<depth>3</depth>\n\t</size>\n"
        "\t<object>\n\t\t<name>ship</name>\n\t\t<truncated>1</truncated>\n\t\t<difficult>0</difficult>\n\t\t<bndbox>\n"
        "\t\t\t<xmin>24</xmin>\n\t\t\t<ymin>5</ymin>\n\t\t\t<xmax>30</xmax>\n\t\t\t<ymax>9</ymax>\n"
        "\t\t</bndbox>\n\t</object>\n</annotation>\n"
    )


def test_no_colour_tells_objects_from_water():
    """In many images, more of the water than of the objects is at the brightness most common on objects."""
    overlapping = 0
    for number in range(20):
        picture, boxes = draw_scene(np.random.default_rng([3, number]))
        grey = np.asarray(picture.convert("L"))
        inside = np.zeros(grey.shape, bool)
        for box in boxes:
            inside[box.ymin : box.ymax, box.xmin : box.xmax] = True
        if inside.any():
            low, high = np.percentile(grey[inside], [25, 75])
            between = (grey >= low) & (grey <= high)
            overlapping += (between & ~inside).sum() > (between & inside).sum()
    assert overlapping >= 10
