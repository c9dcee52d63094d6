"""The tutorial's table."""

from slipway.dataset.annotations import AnnotatedImage, LabeledBox
from slipway.dataset.boxes import Box, ImageSize

from services.preprocess.xml_to_csv import box_table


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
