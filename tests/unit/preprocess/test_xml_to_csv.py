"""The tutorial's table."""

import pytest

from slipway.dataset.annotations import AnnotatedImage, LabeledBox
from slipway.dataset.boxes import Box, ImageSize

from services.preprocess.xml_to_csv import box_table, common_folder


def test_one_box_is_one_row_with_the_tutorials_columns():
    image = AnnotatedImage(
        "images/a b.jpg", 1, "", "jpeg", ImageSize(640, 480), (LabeledBox("ship, red", Box(1.0, 2.5, 30.0, 40.0)),)
    )
    assert box_table([image]).to_csv(index=False).splitlines() == [
        "filename,width,height,class,xmin,ymin,xmax,ymax",
        'images/a b.jpg,640,480,"ship, red",1,2.5,30,40',
    ]


def test_image_without_boxes_has_no_row():
    assert len(box_table([AnnotatedImage("a.jpg", 1, "", "jpeg", ImageSize(1, 1), ())])) == 0


def test_name_with_a_comma_quote_or_newline_stays_one_cell():
    image = AnnotatedImage('a,"b"\n.jpg', 1, "", "jpeg", ImageSize(9, 9), (LabeledBox("x", Box(0.0, 0.0, 9.0, 8.25)),))
    assert box_table([image]).to_csv(index=False, header=False) == '"a,""b""\n.jpg",9,9,x,0,0,9,8.25\n'


def in_folder(filename):
    return AnnotatedImage(filename, 1, "", "jpeg", ImageSize(9, 9), (LabeledBox("x", Box(0, 0, 9, 9)),))


@pytest.mark.parametrize(
    ("filenames", "folder", "expected"),
    [
        (["images/train/a.jpg", "images/train/b.jpg"], "images/train", ["a.jpg", "b.jpg"]),
        (["images/cats/1.jpg", "images/dogs/1.jpg"], "images", ["cats/1.jpg", "dogs/1.jpg"]),
        (["a.jpg", "dogs/a.jpg"], "", ["a.jpg", "dogs/a.jpg"]),
        (["img/a.jpg", "img2/a.jpg"], "", ["img/a.jpg", "img2/a.jpg"]),
        ([], "", []),
    ],
    ids=["one-folder", "two-folders", "source", "names-that-begin-alike", "none"],
)
def test_filenames_are_relative_to_the_folder_of_all_images(filenames, folder, expected):
    images = [in_folder(filename) for filename in filenames]
    assert common_folder(images) == folder
    assert list(box_table(images, folder)["filename"]) == expected
