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
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(b"\xff\xd8\xff\xe0", r"is not XML; it begins with b'\\xff\\xd8", id="jpeg"),
        pytest.param(b'<?xml version="1.0" encoding="klingon"?><annotation/>', "klingon|encoding", id="encoding"),
        pytest.param(b"<html/>", "the root is <html>, expected <annotation>", id="page"),
    ],
)
def test_what_is_no_annotation_says_why(content, says):
    with pytest.raises(AnnotationError, match=says):
        parse_voc(content, "a.xml")


@pytest.mark.parametrize(
    ("head", "says"),
    [
        ('<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>', "declares entities"),
        ('<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]>', "declares entities"),
        ('<!DOCTYPE a [<!ENTITY % a SYSTEM "http://127.0.0.1/evil.dtd"> %a;]>', "declares entities"),
        ('<!DOCTYPE a SYSTEM "http://127.0.0.1/evil.dtd">', "undefined entity &a;"),
    ],
    ids=["billion-laughs", "external-entity", "parameter-entity", "external-dtd"],
)
def test_entities_of_strangers_are_refused(head, says):
    with pytest.raises(AnnotationError, match=says):
        parse_voc(f"{head}<annotation><filename>&a;</filename></annotation>".encode(), "a.xml")


BOX = "<bndbox><xmin>10</xmin><ymin>20</ymin><xmax>30</xmax><ymax>40</ymax></bndbox>"
OTHER_BOX = BOX.replace("10", "15").replace("20", "25")


def parse(*elements):
    return parse_voc(f"<annotation>{''.join(elements)}</annotation>".encode(), "a.xml")


def findings(annotation):
    return [(finding.severity, finding.object, str(finding)) for finding in annotation.findings]


@pytest.mark.parametrize("tag", ["Object", "OBJECT", "v:object"])
def test_case_and_namespace_of_tags_do_not_matter(tag):
    xml = f'<Annotation xmlns:v="urn:voc"><{tag}><Name>ship</Name>{BOX}</{tag}></Annotation>'
    xml = xml.replace("xmin>", "Xmin>").replace("bndbox>", "BndBox>")
    assert (only_box(xml).label, only_box(xml).box) == ("ship", Box(10, 20, 30, 40))


def test_boxes_outside_of_an_object_are_an_error_for_nothing_else_reads_them():
    item = f"<item><name>ship</name>{BOX}</item>"
    annotation = parse(item, item, f"<object><name>buoy</name>{BOX}</object>")
    assert [labeled_box.label for labeled_box in annotation.boxes] == ["buoy"]
    assert findings(annotation) == [
        ("error", None, "a.xml: has 2 <bndbox> in <item>, outside of <object>; rename <item> to <object>")
    ]


def test_corners_outside_of_an_object_are_an_error_whatever_their_tag():
    annotation = parse(f"<item><name>ship</name>{BOX.replace('bndbox', 'rect')}</item>")
    assert [finding.code for finding in annotation.findings] == ["box_not_read"]


def test_name_outside_of_an_object_is_a_warning_but_for_those_of_people():
    annotation = parse("<item><name>ship</name></item><owner><name>Anna</name></owner><source><name>x</name></source>")
    assert findings(annotation) == [("warning", None, "a.xml: has 1 <name> in <item>, outside of <object>; ignored")]


def test_parts_of_an_object_are_counted_and_are_no_objects():
    part = f"<part><name>mast</name>{OTHER_BOX}</part>"
    annotation = parse(f"<object><name>ship</name>{BOX}{part}{part}</object>")
    assert [labeled_box.label for labeled_box in annotation.boxes] == ["ship"]
    assert findings(annotation) == [("info", None, "a.xml: has 2 <bndbox> of parts of objects; left out")]


def test_every_box_of_an_object_is_read():
    annotation = parse(f"<object><name>ship</name><difficult>1</difficult>{BOX}{OTHER_BOX}</object>")
    assert [(b.label, b.box.xmin, b.difficult) for b in annotation.boxes] == [("ship", 10, True), ("ship", 15, True)]
    assert findings(annotation) == [
        ("info", 0, "a.xml: object 0 ('ship') has 2 boxes; each was read as an object of its own")
    ]


def test_object_with_two_names_is_an_error_for_each_of_its_boxes():
    names = "<name>dog</name><name>puppy</name>"
    annotation = parse(f"<object><name>cat</name>{BOX}</object><object>{names}{BOX}{OTHER_BOX}</object>")
    refused = [(finding.code, finding.object) for finding in annotation.findings if finding.severity == "error"]
    assert refused == [("name_ambiguous", 1), ("name_ambiguous", 2)]
    assert "has 2 names: dog, puppy; leave one <name>" in str(annotation.findings[0])


def test_name_that_is_repeated_is_one_name():
    annotation = parse(f"<object><name>dog</name><name> dog </name>{BOX}</object>")
    assert (annotation.boxes[0].label, annotation.findings) == ("dog", ())


def test_objects_that_labelme_marks_as_deleted_are_counted_and_left_out():
    annotation = parse(f"<object><name>ship</name><deleted>1</deleted>{BOX}</object>")
    assert annotation.boxes == ()
    assert findings(annotation) == [("info", None, "a.xml: has 1 <object> marked as deleted; left out")]


@pytest.mark.parametrize(
    ("elements", "says"),
    [
        ("<filename>a.jpg</filename><filename>b.jpg</filename>", "has 2 different <filename>: a.jpg, b.jpg; leave one"),
        (
            "<size><width>4</width><height>3</height></size><size><width>8</width><height>6</height></size>",
            "has two <size> that differ",
        ),
    ],
    ids=["filename", "size"],
)
def test_file_that_means_two_images_is_refused(elements, says):
    with pytest.raises(AnnotationError, match=says):
        parse(elements)


def test_size_of_labelme_is_read():
    assert parse("<imagesize><nrows>480</nrows><ncols>640</ncols></imagesize>").size == ImageSize(640, 480)
