"""LabelMe JSON: its shapes, and files that are not of it."""

import json

import pytest

from slipway.dataset.boxes import Box, ImageSize
from slipway.errors import AnnotationError
from slipway.store.folder import FolderStore

from services.ingest.formats.labelme import LABELME
from services.ingest.formats.source_file import SourceFile


@pytest.fixture
def read_file(tmp_path):
    def read_file(document):
        (tmp_path / "a.json").write_text(json.dumps(document))
        return LABELME.images([SourceFile("a.json", FolderStore(tmp_path))]).pending[0].read()

    return read_file


def document(kind, points, **fields):
    shape = {"label": "ship", "points": points, "shape_type": kind, **fields}
    return {"shapes": [shape], "imagePath": "..\\photos\\a.jpg", "imageHeight": 60, "imageWidth": 80}


@pytest.mark.parametrize("points", [[[1, 2], [30, 40]], [[30, 2], [1, 40]]], ids=["left top", "right top"])
def test_a_rectangle_is_any_two_opposite_corners(read_file, points):
    annotation = read_file(document("rectangle", points))
    assert (annotation.filename, annotation.size) == ("..\\photos\\a.jpg", ImageSize(80, 60))
    assert [(item.label, item.box) for item in annotation.boxes] == [("ship", Box(1, 2, 30, 40))]
    assert annotation.findings == ()


@pytest.mark.parametrize(
    ("kind", "points", "box", "code"),
    [
        ("polygon", [[1, 2], [30, 4], [5, 50]], (1, 2, 30, 50), "shape_bounded"),
        (None, [[1, 2], [30, 4], [5, 50]], (1, 2, 30, 50), "shape_bounded"),
        ("circle", [[20, 20], [23, 24]], (15, 15, 25, 25), "shape_bounded"),
        ("mask", [[1, 2], [30, 40]], (1, 2, 30, 40), "shape_bounded"),
        ("linestrip", [[1, 2], [3, 4]], None, "shape_left_out"),
        ("point", [[1, 2]], None, "shape_left_out"),
    ],
    ids=["polygon", "old", "circle", "mask", "linestrip", "point"],
)
def test_other_shapes_have_a_finding(read_file, kind, points, box, code):
    annotation = read_file(document(kind, points))
    assert [finding.code for finding in annotation.findings] == [code]
    assert [item.box for item in annotation.boxes] == ([pytest.approx(box)] if box else [])


@pytest.mark.parametrize(
    ("kind", "points"),
    [("rectangle", []), ("rectangle", [[1, 2], [3]]), ("rectangle", [[1, 2], ["x", 3]]), ("circle", [[1, 2]])],
)
def test_points_that_are_none_make_no_box(read_file, kind, points):
    assert read_file(document(kind, points)).boxes[0].box.is_empty


@pytest.mark.parametrize("content", [{"shapes": []}, {"imagePath": "a.jpg", "shapes": 1}, []])
def test_other_json_is_not_labelme(read_file, tmp_path, content):
    with pytest.raises(AnnotationError, match="has no imagePath and list of shapes"):
        read_file(content)
    assert not LABELME.detect(SourceFile("a.json", FolderStore(tmp_path)))
