"""The tutorial's CSV: its columns, images without boxes, and files that are damaged."""

import math

import pytest

from slipway.dataset.boxes import Box, ImageSize
from slipway.errors import AnnotationError
from slipway.store.folder import FolderStore

from services.ingest.formats.csv_table import CSV
from services.ingest.formats.source_file import SourceFile

HEADER = "filename,width,height,class,xmin,ymin,xmax,ymax\n"


@pytest.fixture
def list_images(tmp_path):
    def list_images(text):
        (tmp_path / "a.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
        return CSV.images([SourceFile("a.csv", FolderStore(tmp_path))]).pending

    return list_images


def test_rows_of_one_image_are_its_boxes_wherever_they_are(list_images):
    rows = "a.jpg,80,60,ship,1,2,30,40\nb.jpg,80,60,buoy,1,1,2,2\na.jpg,80,60,buoy,3,4,5.5,6\n"
    annotations = [pending.read() for pending in list_images(HEADER + rows)]
    assert [annotation.file for annotation in annotations] == ["a.csv#a.jpg", "a.csv#b.jpg"]
    assert annotations[0].size == ImageSize(80, 60)
    assert [(item.label, item.box) for item in annotations[0].boxes] == [
        ("ship", Box(1, 2, 30, 40)),
        ("buoy", Box(3, 4, 5.5, 6)),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffxmin;xmax;ymin;ymax;class;score;filename;height;width\r\n1;30;2;40;ship;0.5;a.jpg;60;80\r\n",
        'Filename\tWidth\tHeight\tClass\tXmin\tYmin\tXmax\tYmax\na.jpg\t80\t60\t"ship"\t1\t2\t30\t40\n',
    ],
    ids=["semicolons", "tabs"],
)
def test_columns_are_read_by_name(list_images, text):
    annotation = list_images(text)[0].read()
    assert (annotation.filename, annotation.size) == ("a.jpg", ImageSize(80, 60))
    assert [(item.label, item.box) for item in annotation.boxes] == [("ship", Box(1, 2, 30, 40))]


def test_a_row_without_a_box_is_background(list_images):
    assert list_images(HEADER + "a.jpg,80,60,,,,,\n")[0].read().boxes == ()


def test_a_row_with_some_cells_missing_is_not_background(list_images):
    box = list_images(HEADER + "a.jpg,80,60,ship,1,2\n")[0].read().boxes[0]
    assert box.label == "ship"
    assert math.isnan(box.box.xmax)


def test_two_sizes_of_one_image_are_refused(list_images):
    pending = list_images(HEADER + "a.jpg,80,60,ship,1,2,30,40\na.jpg,60,80,ship,1,2,30,40\n")
    with pytest.raises(AnnotationError, match=r"rows of 'a.jpg' give it 2 different sizes"):
        pending[0].read()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"\xff\xfe", "cannot be read as text"),
        ("a,b\n1,2\n", "its first line does not name the columns filename"),
        (HEADER + 'a.jpg,80,60,"' + "x" * 200_000 + '",1,2,3,4\n', "cannot be read as CSV"),
    ],
    ids=["bytes", "other table", "long cell"],
)
def test_damaged_file_is_one_line(list_images, text, message):
    with pytest.raises(AnnotationError, match=message):
        list_images(text)[0].read()


@pytest.mark.parametrize("header", ["a,b,c\n", "filename,width,height,class\n", ""], ids=["other", "part", "empty"])
def test_other_tables_are_not_annotations(tmp_path, header):
    (tmp_path / "a.csv").write_text(header)
    assert not CSV.detect(SourceFile("a.csv", FolderStore(tmp_path)))
