"""Tests of the assignment of annotations to images."""

import pytest

from services.ingest.expected_folder import report_other_folders
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


CATS_AND_DOGS = ["cats/4.jpg", "cats/5.jpg", "cats/6.jpg", "dogs/1.jpg", "dogs/2.jpg"]


def annotated(folder, images, *stems):
    """Keys of a tree of annotations beside one of images."""
    return layout(*(f"{folder}/{stem}.xml" for stem in stems), *(f"{images}/{name}" for name in CATS_AND_DOGS))


@pytest.mark.parametrize(
    ("annotations", "images"),
    [
        pytest.param("annotations", "images", id="mirrored"),
        pytest.param("data/Labels", "data/JPEGImages", id="mirrored-below"),
        pytest.param("pets", "pets", id="beside"),
    ],
)
def test_image_of_another_folder_is_never_taken(annotations, images):
    files = annotated(annotations, images, "cats/4", "cats/6", "dogs/1", "dogs/2", "dogs/5")
    with pytest.raises(UnmatchedAnnotation) as caught:
        files.image_of(f"{annotations}/dogs/5.xml", "5.jpg")
    assert caught.value.code == "image_missing"
    assert str(caught.value) == (
        f"names the image '5.jpg', which is not in the source: {images}/cats/5.jpg belongs to another folder"
    )


def test_image_of_another_folder_is_not_taken_when_that_folder_has_no_images_at_all():
    files = layout("xml/dogs/5.xml", "xml/cats/4.xml", "images/cats/4.jpg", "images/cats/5.jpg")
    with pytest.raises(UnmatchedAnnotation, match=r"images/cats/5\.jpg belongs to another folder"):
        files.image_of("xml/dogs/5.xml", "5.jpg")


def test_image_of_another_split_is_not_taken():
    for train, test in (("train/{}", "test/{}"), ("train_{}", "test_{}"), ("{}/train", "{}/test")):
        folders = [pattern.format(kind) for pattern in (train, test) for kind in ("images", "labels")]
        train_images, train_labels, test_images, test_labels = folders
        files = layout(
            *(f"{train_images}/1.jpg", f"{train_labels}/1.xml", f"{train_labels}/2.xml"),
            *(f"{test_images}/2.jpg", f"{test_images}/3.jpg", f"{test_labels}/3.xml"),
        )
        assert files.image_of(f"{train_labels}/1.xml", "1.jpg") == f"{train_images}/1.jpg"
        with pytest.raises(UnmatchedAnnotation, match="belongs to another folder"):
            files.image_of(f"{train_labels}/2.xml", "2.jpg")


@pytest.mark.parametrize("filename", ["dogs/5.jpg", r"pets\dogs\5.jpg", "dogs/5.png"])
def test_folder_in_filename_rules_out_images_of_other_folders(filename):
    files = annotated("xml", "images", "1", "2", "4", "5", "6")
    with pytest.raises(UnmatchedAnnotation, match=r"images/cats/5\.jpg belongs to another folder"):
        files.image_of("xml/5.xml", filename)


@pytest.mark.parametrize("hint", ["dogs", r"C:\data\images\dogs", "/home/me/dogs/images"])
def test_folder_in_which_the_image_lay_rules_out_images_of_other_folders(hint):
    files = annotated("xml", "images", "1", "2", "4", "5", "6")
    with pytest.raises(UnmatchedAnnotation, match=r"images/cats/5\.jpg belongs to another folder"):
        files.image_of("xml/5.xml", "5.jpg", [hint])
    assert files.image_of("xml/4.xml", "4.jpg", ["/home/me/cats"]) == "images/cats/4.jpg"


@pytest.mark.parametrize("hint", ["raw", r"C:\Users\me\raw", "dogs"])
def test_folder_in_which_the_image_lay_does_not_matter_once_it_was_moved_with_its_annotation(hint):
    files = layout("raw/8.jpg", "dogs/2.jpg", "dogs/2.xml", "train/1.jpg", "train/1.xml", "xml/3.xml", "images/3.jpg")
    assert files.image_of("train/1.xml", "1.jpg", [hint]) == "train/1.jpg"
    assert files.image_of("xml/3.xml", "3.jpg", [hint]) == "images/3.jpg"


def test_names_that_repeat_are_told_apart_by_the_folder_in_filename():
    videos = ["JPEGImages/video1/frame_0.png", "JPEGImages/video2/frame_0.png"]
    files = layout(*videos, "Annotations/video1_0.xml", "Annotations/video2_0.xml")
    assert files.image_of("Annotations/video1_0.xml", "video1/frame_0.png") == videos[0]
    assert files.image_of("Annotations/video2_0.xml", r"video2\frame_0.png") == videos[1]


def test_names_that_repeat_are_told_apart_by_the_folder_in_which_the_image_lay():
    files = layout("one/a.jpg", "two/a.jpg", "xml/a.xml")
    assert files.image_of("xml/a.xml", "a.jpg", ["", r"D:\two"]) == "two/a.jpg"


def test_names_that_repeat_are_told_apart_by_mirrored_folders():
    files = layout("images/dogs/1.jpg", "images/not_dogs/1.jpg", "labels/dogs/1.xml", "labels/not_dogs/1.xml")
    assert files.image_of("labels/dogs/1.xml", "1.jpg") == "images/dogs/1.jpg"
    assert files.image_of("labels/not_dogs/1.xml", "1.jpg") == "images/not_dogs/1.jpg"


@pytest.mark.parametrize("folder", ["AnnotationsVisualization", "preview", "SegmentationClass", "annotations/trimaps"])
@pytest.mark.parametrize("filename", ["a.jpg", "a", ""])
def test_pictures_made_from_annotations_are_not_taken_for_images(folder, filename):
    previews = [f"{folder}/a.jpg", f"{folder}/b.jpg"]
    files = layout("annotations/xmls/a.xml", "annotations/xmls/b.xml", "JPEGImages/a.jpg", *previews)
    assert files.image_of("annotations/xmls/a.xml", filename) == "JPEGImages/a.jpg"
    with pytest.raises(UnmatchedAnnotation, match=rf"{folder}/b\.jpg belongs to another folder"):
        files.image_of("annotations/xmls/b.xml", filename.replace("a", "b"))


def test_folder_of_images_is_preferred_to_drawings_beside_the_annotations():
    files = layout("Annotations/a.xml", "Annotations/a.jpg", "JPEGImages/a.jpg")
    assert files.image_of("Annotations/a.xml", "a.jpg") == "JPEGImages/a.jpg"
    assert layout("labels/a.xml", "labels/a.jpg").image_of("labels/a.xml", "a.jpg") == "labels/a.jpg"


def test_names_that_differ_in_case_are_two_images():
    files = layout("IMG_0.jpg", "IMG_0.xml", "img_0.JPG", "img_0.xml")
    for filename in ("IMG_0.jpg", "", "old.jpg"):
        assert files.image_of("IMG_0.xml", filename) == "IMG_0.jpg"
    assert files.image_of("img_0.xml", "img_0.JPG") == "img_0.JPG"
    assert files.image_of("img_0.xml", "img_0") == "img_0.JPG"


def test_names_in_other_unicode_forms_and_with_escapes_are_the_same():
    composed, decomposed = "caf\u00e9 1", "cafe\u0301 1"
    assert layout(f"{decomposed}.jpg", "a.xml").image_of("a.xml", f"{composed}.jpg") == f"{decomposed}.jpg"
    assert layout(f"{composed}.jpg", f"{decomposed}.xml").image_of(f"{decomposed}.xml", "") == f"{composed}.jpg"
    assert layout("my ship.jpg", "a.xml").image_of("a.xml", "my%20ship.jpg") == "my ship.jpg"


def test_annotation_beside_an_image_has_a_better_claim_than_one_elsewhere():
    files = layout("images/a.jpg", "images/a.xml", "images/train/a.xml", "xml/a.xml")
    claims = [files.claim(key, "images/a.jpg") for key in ("images/a.xml", "xml/a.xml", "images/train/a.xml")]
    assert claims == sorted(claims)
    assert len(set(claims)) == 3


def test_copy_of_an_annotation_without_its_image_does_not_take_the_original():
    files = layout("images/a.jpg", "images/a.xml", "images/train/a.xml", "images/train/b.jpg", "images/train/b.xml")
    with pytest.raises(UnmatchedAnnotation, match=r"images/a\.jpg belongs to another folder"):
        files.image_of("images/train/a.xml", "a.jpg")


def test_annotations_in_split_folders_find_images_that_lie_in_one_folder():
    files = layout("annotations/train/a.xml", "annotations/test/b.xml", "images/a.jpg", "images/b.jpg", "images/c.jpg")
    assert files.image_of("annotations/train/a.xml", "a.jpg") == "images/a.jpg"
    assert files.image_of("annotations/test/b.xml", "b.jpg") == "images/b.jpg"


def test_annotations_of_one_folder_find_images_in_many():
    files = layout("xml/a.xml", "xml/b.xml", "xml/c.xml", "pics/a.jpg", "more/part2/b.jpg", "xml/extra/c.jpg")
    for name, image in {"a": "pics/a.jpg", "b": "more/part2/b.jpg", "c": "xml/extra/c.jpg"}.items():
        assert files.image_of(f"xml/{name}.xml", f"{name}.jpg") == image


@pytest.mark.parametrize("name", ["a.jfif", "a.JPE", "a.mpo", "a.avif", "a.ppm", "a.dib"])
def test_every_suffix_of_a_format_that_is_read_is_an_image(name):
    assert layout(name, "a.xml").image_of("a.xml", "a.jpg") == name


@pytest.mark.parametrize("name", ["IMG_0001", "scan.dat", "a.jpg_large"])
def test_file_that_is_named_exactly_is_taken_whatever_its_suffix_for_its_content_decides(name):
    assert layout(name, "x.xml", "readme.txt").image_of("x.xml", name) == name


@pytest.mark.parametrize("filename", ["IMG_0.HEIC", "IMG_0.jpg", ""])
def test_picture_that_is_there_but_cannot_be_read_is_named(filename):
    with pytest.raises(UnmatchedAnnotation, match=r"images/IMG_0\.HEIC is HEIC, which cannot be read") as error_info:
        layout("images/IMG_0.HEIC", "xml/IMG_0.xml").image_of("xml/IMG_0.xml", filename)
    assert error_info.value.code == "image_unreadable"


def test_picture_that_was_converted_is_taken_instead_of_the_original():
    files = layout("IMG_0.HEIC", "IMG_0.jpg", "IMG_0.xml", "IMG_1.CR2", "IMG_1.jpg", "IMG_1.xml")
    assert files.image_of("IMG_0.xml", "IMG_0.HEIC") == "IMG_0.jpg"
    assert files.image_of("IMG_1.xml", "IMG_1.jpg") == "IMG_1.jpg"


@pytest.mark.parametrize(("filename", "hints"), [("new/5.jpg", []), ("5.jpg", ["/home/me/new"])])
def test_folder_that_all_images_are_in_does_not_make_up_for_another(filename, hints):
    files = layout("xml/dogs/new/5.xml", "xml/cats/new/4.xml", "images/cats/new/4.jpg", "images/cats/new/5.jpg")
    with pytest.raises(UnmatchedAnnotation, match="belongs to another folder"):
        files.image_of("xml/dogs/new/5.xml", filename, hints)


def test_images_in_folders_of_quite_another_name_are_reported_once_for_each_pair():
    image_keys = {f"dogs/{name}.xml": f"cats/{name}.jpg" for name in "abc"}
    image_keys |= {"xml/d.xml": "images/new/d.jpg", "train/labels/e.xml": "train/images/e.jpg", "gone/f.xml": ""}
    (finding,) = report_other_folders(image_keys)
    assert (finding.code, finding.severity) == ("image_in_other_folder", "info")
    assert str(finding) == (
        "dogs/a.xml: has its image in cats, a folder of another name (3 images); "
        "used; if they do not belong together, name the folder in <filename>"
    )
