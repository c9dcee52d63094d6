"""Tests of the assignment of annotations to images."""

import pytest

from services.ingest.source_layout import SourceLayout, UnmatchedAnnotation


def layout(*files):
    return SourceLayout.from_files(sorted(files))


@pytest.mark.parametrize(
    ("files", "annotation", "filename", "image"),
    [
        pytest.param(["a.jpg", "a.xml"], "a.xml", "a.jpg", "a.jpg", id="beside"),
        pytest.param(
            ["images/a.jpg", "annotations/a.xml"], "annotations/a.xml", "a.jpg", "images/a.jpg", id="two-folders"
        ),
        pytest.param(["a.JPG", "a.XML"], "a.XML", "a.jpg", "a.JPG", id="upper-case"),
        pytest.param(["a.png", "a.xml"], "a.xml", "a.jpg", "a.png", id="wrong-suffix"),
        pytest.param(["a.jpg", "a.xml"], "a.xml", "a", "a.jpg", id="no-suffix"),
        pytest.param(["a.jpg", "a.xml"], "a.xml", "", "a.jpg", id="no-filename"),
        pytest.param(["a.jpg", "a.xml"], "a.xml", r"C:\Users\me\a.jpg", "a.jpg", id="windows-path"),
        pytest.param(["a.jpg", "a.xml"], "a.xml", "renamed.jpg", "a.jpg", id="stale-filename"),
        pytest.param(["x/7.jpg", "x/1.xml"], "x/1.xml", "7.jpg", "x/7.jpg", id="only-by-filename"),
        pytest.param(["é ü.jpg", "é ü.xml"], "é ü.xml", "é ü.jpg", "é ü.jpg", id="umlauts-and-spaces"),
        pytest.param(
            ["train/images/1.jpg", "test/images/1.jpg", "test/labels/1.xml"],
            "test/labels/1.xml",
            "1.jpg",
            "test/images/1.jpg",
            id="nearest-of-the-same-name",
        ),
    ],
)
def test_image_of_an_annotation_is_found(files, annotation, filename, image):
    assert layout(*files).image_of(annotation, filename) == image


def test_path_that_leaves_the_source_finds_nothing():
    with pytest.raises(
        UnmatchedAnnotation, match=r"names the image '\.\./\.\./etc/passwd', which is not in the source"
    ):
        layout("b.jpg", "a.xml").image_of("a.xml", "../../etc/passwd")


def test_two_images_equally_near_are_not_guessed_between():
    with pytest.raises(UnmatchedAnnotation, match=r"can be one/a\.jpg or two/a\.jpg"):
        layout("one/a.jpg", "two/a.jpg", "xml/a.xml").image_of("xml/a.xml", "a.jpg")


def test_name_of_the_file_and_name_in_it_that_mean_two_images_are_not_guessed_between():
    with pytest.raises(UnmatchedAnnotation, match=r"can be b\.jpg or a\.jpg"):
        layout("a.jpg", "b.jpg", "a.xml").image_of("a.xml", "b.jpg")


def test_image_elsewhere_that_has_the_annotations_own_name_does_not_count_against_the_named_one():
    files = layout("train/7.jpg", "train/1.xml", "test/1.jpg")
    assert files.image_of("train/1.xml", "7.jpg") == "train/7.jpg"


def test_copies_in_split_folders_are_not_mixed_up_with_what_they_were_copied_from():
    files = layout("images/a.jpg", "images/a.xml", "images/train/a.jpg", "images/train/a.xml")
    assert files.image_of("images/a.xml", "a.jpg") == "images/a.jpg"
    assert files.image_of("images/train/a.xml", "a.jpg") == "images/train/a.jpg"


def test_mask_of_the_same_name_is_not_taken_for_the_image():
    files = layout("Annotations/a.xml", "JPEGImages/a.jpg", "SegmentationClass/a.png")
    assert files.image_of("Annotations/a.xml", "a.jpg") == "JPEGImages/a.jpg"
