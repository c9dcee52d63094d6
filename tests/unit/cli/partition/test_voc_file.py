from xml.etree import ElementTree

from slipway.dataset.annotations import AnnotatedImage, LabeledBox
from slipway.dataset.boxes import Box, ImageSize

from services.cli.partition.voc_file import voc_xml

BOXES = (LabeledBox("tug & tow", Box(1.5, 2.0, 30.2, 40.0), True, False), LabeledBox("buoy", Box(0, 0, 5, 6)))


def test_boxes_are_written_in_the_order_of_tags_that_scripts_rely_on():
    image = AnnotatedImage("in/7.jpg", 1, "0" * 64, "jpeg", ImageSize(64, 48), BOXES)
    root = ElementTree.fromstring(voc_xml(image, "7.jpg"))
    assert root.find("filename").text == "7.jpg"
    assert [(side.tag, side.text) for side in root.find("size")] == [("width", "64"), ("height", "48"), ("depth", "3")]
    first, second = root.findall("object")
    assert [tag.tag for tag in first] == ["name", "pose", "truncated", "difficult", "bndbox"]
    assert (first[0].text, first[2].text, first[3].text) == ("tug & tow", "0", "1")
    assert [side.text for side in first[4]] == ["1", "2", "31", "40"]
    assert [side.text for side in second[4]] == ["0", "0", "5", "6"]


def test_an_image_without_boxes_has_an_xml_without_objects():
    image = AnnotatedImage("7.jpg", 1, "0" * 64, "jpeg", ImageSize(64, 48), ())
    assert ElementTree.fromstring(voc_xml(image, "7.jpg")).findall("object") == []
