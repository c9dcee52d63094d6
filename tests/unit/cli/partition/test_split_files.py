from slipway.dataset.annotations import AnnotatedImage
from slipway.dataset.boxes import ImageSize

from services.cli.partition.split_files import file_names


def images(*names, format="jpeg"):
    return [
        AnnotatedImage(name, number, "0" * 64, format, ImageSize(64, 48), ()) for number, name in enumerate(names, 1)
    ]


def test_an_image_keeps_its_name_without_its_folders():
    assert file_names(images("a/1.jpg", "b/2.JPEG")) == ["1.jpg", "2.JPEG"]


def test_images_whose_xml_would_have_one_name_get_their_folders_into_it():
    assert file_names(images("dogs/1.jpg", "cats/1.jpeg", "2.jpg")) == ["dogs_1.jpg", "cats_1.jpeg", "2.jpg"]


def test_names_that_are_equal_even_with_their_folders_get_a_number():
    assert file_names(images("a/1.jpg", "b/1.jpg", "a_1.jpg")) == ["a_1.jpg", "b_1.jpg", "a_1_3.jpg"]


def test_the_suffix_is_that_of_the_stored_bytes():
    assert file_names(images("a.gif", "b.png", format="png")) == ["a.png", "b.png"]
