"""CVAT for images 1.1: its shapes, and files of other kinds."""

import pytest

from slipway.dataset.boxes import Box, ImageSize
from slipway.errors import AnnotationError
from slipway.store.folder import FolderStore

from services.ingest.formats.cvat import CVAT
from services.ingest.formats.source_file import SourceFile


@pytest.fixture
def list_images(tmp_path):
    def list_images(content):
        text = f"<annotations><version>1.1</version>{content}</annotations>"
        (tmp_path / "a.xml").write_text(content if content.startswith("<?") else text)
        return CVAT.images([SourceFile("a.xml", FolderStore(tmp_path))])

    return list_images


def image(*shapes, subset=""):
    return f'<image id="0" name="s/a.jpg" width="80" height="60" {subset}>{"".join(shapes)}</image>'


def test_a_box_is_read_with_the_image_and_its_split(list_images):
    box = '<box label=" ship " occluded="1" xtl="1.50" ytl="2.00" xbr="30.25" ybr="40.00"/>'
    annotation = list_images(image(box, subset='subset="Train"')).pending[0].read()
    assert (annotation.file, annotation.filename, annotation.size) == ("a.xml#s/a.jpg", "s/a.jpg", ImageSize(80, 60))
    assert [(item.label, item.box) for item in annotation.boxes] == [("ship", Box(1.5, 2, 30.25, 40))]
    assert (annotation.split, annotation.findings) == ("Train", ())


@pytest.mark.parametrize(
    ("shape", "box", "code"),
    [
        ('<box label="a" xtl="0" ytl="10" xbr="40" ybr="20" rotation="90.0"/>', (15, -5, 25, 35), "box_turned"),
        ('<polygon label="a" points="1.5,2.0;30,4;5,50"/>', (1.5, 2, 30, 50), "shape_bounded"),
        ('<ellipse label="a" cx="20" cy="30" rx="5" ry="10"/>', (15, 20, 25, 40), "shape_bounded"),
        ('<mask label="a" rle="3, 4" left="5" top="6" width="7" height="8"/>', (5, 6, 12, 14), "shape_bounded"),
        ('<polyline label="a" points="1,2;3,4"/>', None, "shape_left_out"),
        ('<points label="a" points="1,2"/>', None, "shape_left_out"),
        ('<cuboid label="a" xtl1="1"/>', None, "shape_left_out"),
        ('<skeleton label="a"><points label="1" points="1,2"/></skeleton>', None, "shape_left_out"),
        ('<tag label="a"/>', None, "shape_left_out"),
    ],
    ids=["turned", "polygon", "ellipse", "mask", "polyline", "points", "cuboid", "skeleton", "tag"],
)
def test_other_shapes_have_a_finding(list_images, shape, box, code):
    annotation = list_images(image(shape)).pending[0].read()
    assert [finding.code for finding in annotation.findings] == [code]
    assert [item.box for item in annotation.boxes] == ([pytest.approx(box)] if box else [])


def test_attributes_are_counted(list_images):
    box = '<box label="a" xtl="0" ytl="1" xbr="2" ybr="3"><attribute name="old">yes</attribute></box>'
    findings = list_images(image(box) + image(box)).findings
    assert [str(finding) for finding in findings] == ["a.xml: has 2 attributes of objects; not used"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('<track id="0" label="a"><box frame="0"/></track>', "is CVAT for video 1.1, which has tracks; export"),
        ("<?xml version='1.0'?><annotations><image>", "cannot be parsed as XML"),
        ("<?xml version='1.0'?><images/>", "the root is <images>, expected <annotations>"),
    ],
    ids=["video", "cut off", "other root"],
)
def test_a_file_of_another_kind_is_refused(list_images, content, message):
    with pytest.raises(AnnotationError, match=message):
        list_images(content).pending[0].read()


def test_voc_is_not_cvat(tmp_path):
    (tmp_path / "a.xml").write_text("<annotation><filename>a.jpg</filename></annotation>")
    assert not CVAT.detect(SourceFile("a.xml", FolderStore(tmp_path)))
