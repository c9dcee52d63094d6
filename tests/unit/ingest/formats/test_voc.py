"""XML as labelImg writes it, as others write it, and as strangers write it."""

import math

import pytest

from slipway.dataset.boxes import Box, ImageSize
from slipway.errors import AnnotationError

from services.ingest.formats.voc import parse_voc

XML = """<annotation>
  <filename>ship 1.jpg</filename>
  <size><width>640</width><height>480</height><depth>3</depth></size>
  <object>
    <name>ship</name><difficult>1</difficult>
    <bndbox><xmin>10</xmin><ymin>20</ymin><xmax>30</xmax><ymax>40</ymax></bndbox>
  </object>
</annotation>"""


def only_box(xml):
    (labeled_box,) = parse_voc(xml.encode(), "a.xml").boxes
    return labeled_box


def test_file_of_labelimg_is_read():
    annotation = parse_voc(XML.encode(), "a.xml")
    assert (annotation.filename, annotation.size) == ("ship 1.jpg", ImageSize(640, 480))
    (labeled_box,) = annotation.boxes
    assert (labeled_box.label, labeled_box.box, labeled_box.difficult) == ("ship", Box(10, 20, 30, 40), True)


def test_folder_and_path_of_the_image_are_read_as_the_tool_wrote_them():
    tags = r"<folder>dogs</folder><path>C:\data\dogs\ship 1.jpg</path>"
    annotation = parse_voc(XML.replace("<annotation>", f"<annotation>{tags}").encode(), "a.xml")
    assert (annotation.folder, annotation.path) == ("dogs", r"C:\data\dogs\ship 1.jpg")
    assert (parse_voc(XML.encode(), "a.xml").folder, parse_voc(XML.encode(), "a.xml").path) == ("", "")


def test_order_of_the_tags_does_not_matter():
    reordered_xml = XML.replace(
        "<xmin>10</xmin><ymin>20</ymin><xmax>30</xmax><ymax>40</ymax>",
        "<xmax>30</xmax><xmin>10</xmin><ymax>40</ymax><ymin>20</ymin>",
    ).replace("<name>ship</name><difficult>1</difficult>", "<difficult>0</difficult><pose/><name> ship\n</name>")
    assert (only_box(reordered_xml).label, only_box(reordered_xml).box) == ("ship", Box(10, 20, 30, 40))


def test_fractions_of_a_pixel_are_kept():
    assert only_box(XML.replace("<xmin>10<", "<xmin>10.25<")).box.xmin == 10.25


@pytest.mark.parametrize("text", ["", "left", "1e400", "nan"], ids=["empty", "word", "infinite", "nan"])
def test_coordinate_that_is_no_number_becomes_nan(text):
    assert math.isnan(only_box(XML.replace("<xmin>10<", f"<xmin>{text}<")).box.xmin)


def test_box_without_bndbox_and_without_name_is_kept_for_the_findings():
    (labeled_box,) = parse_voc(b"<annotation><object/></annotation>", "a.xml").boxes
    assert labeled_box.label == ""
    assert math.isnan(labeled_box.box.xmax)


@pytest.mark.parametrize("size", ["<width>0</width><height>0</height>", "<width>x</width>", ""])
def test_size_that_is_none_is_none(size):
    assert parse_voc(f"<annotation><size>{size}</size></annotation>".encode(), "a.xml").size is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_every_encoding_that_is_declared_is_read(encoding):
    declared_encoding = encoding.replace("-sig", "")
    xml = f'<?xml version="1.0" encoding="{declared_encoding}"?>\r\n' + XML.replace("ship 1.jpg", "Möwe.jpg")
    assert parse_voc(xml.encode(encoding), "a.xml").filename == "Möwe.jpg"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(b"<annotation>\n<obj", r"line 2, column \d+: cannot be parsed as XML", id="cut-off"),
        pytest.param(b"", r"line 1, column 0: cannot be parsed as XML", id="empty"),
        pytest.param(b"\xff\xd8\xff\xe0", "cannot be parsed as XML", id="jpeg"),
        pytest.param(b'<?xml version="1.0" encoding="klingon"?><annotation/>', "klingon|encoding", id="encoding"),
        pytest.param(b"<html/>", "the root is <html>, expected <annotation>", id="page"),
    ],
)
def test_what_is_no_annotation_says_why(content, says):
    with pytest.raises(AnnotationError, match=says):
        parse_voc(content, "a.xml")


@pytest.mark.parametrize(
    "head",
    [
        '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>',
        '<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE a SYSTEM "http://127.0.0.1/evil.dtd">',
    ],
    ids=["billion-laughs", "external-entity", "external-dtd"],
)
def test_entities_of_strangers_are_refused(head):
    with pytest.raises(AnnotationError, match="document type or entities"):
        parse_voc(f"{head}<annotation><filename>&a;</filename></annotation>".encode(), "a.xml")
