import json

import pytest

from slipway.dataset.annotations import AnnotatedImage, LabeledBox, dump, parse
from slipway.dataset.boxes import Box, ImageSize
from slipway.errors import BrokenDocument

SHIP = LabeledBox("ship", Box(1.0, 2.5, 30.0, 40.0), difficult=True)
IMAGE = AnnotatedImage("images/a b.jpg", 7, "0f" * 32, "jpeg", ImageSize(64, 48), (SHIP,))


def test_image_is_one_line_of_json():
    assert dump([IMAGE]) == (
        b'{"filename":"images/a b.jpg","source_id":7,"sha256":"' + b"0f" * 32 + b'","format":"jpeg",'
        b'"size":[64,48],"boxes":[["ship",[1.0,2.5,30.0,40.0],1,0]]}\n'
    )


def test_parse_reads_back_what_dump_wrote():
    odd = [
        AnnotatedImage("Möwe\n\u2028.png", 1, "", "png", ImageSize(1, 1), ()),
        AnnotatedImage("caf\udce9.jpg", 2, "", "jpeg", ImageSize(9, 9), (LabeledBox("a\u0085b", Box(0, 0, 1 / 3, 1)),)),
    ]
    assert list(parse(dump([IMAGE, *odd]))) == [IMAGE, *odd]


def test_image_without_boxes_is_a_line_too():
    (image,) = parse(dump([AnnotatedImage("sea.jpg", 1, "", "jpeg", ImageSize(9, 9), ())]))
    assert image.boxes == ()


def test_nothing_is_no_line():
    assert (dump([]), list(parse(b""))) == (b"", [])


def test_a_field_of_a_newer_version_is_ignored():
    line = json.loads(dump([IMAGE])) | {"weather": "fog"}
    assert list(parse(json.dumps(line).encode())) == [IMAGE]


@pytest.mark.parametrize("field", ["filename", "source_id", "sha256", "format", "size", "boxes"])
def test_a_missing_field_is_refused_with_its_line(field):
    line = json.loads(dump([IMAGE]))
    del line[field]
    lines = dump([IMAGE]) + json.dumps(line).encode()
    with pytest.raises(
        BrokenDocument, match=f"^a.jsonl line 2: {field}: Field required; it is damaged or another version"
    ):
        list(parse(lines, "a.jsonl"))


@pytest.mark.parametrize(
    "line",
    [b"{", b"[1]", dump([IMAGE]).replace(b"[64,48]", b"[64]"), dump([IMAGE]).replace(b",1,0]]", b"]]")],
    ids=["cut-off", "a-list", "half-a-size", "half-a-box"],
)
def test_what_is_not_an_annotated_image_is_refused(line):
    with pytest.raises(BrokenDocument, match=r"^a\.jsonl line 1: is not an annotated image \("):
        list(parse(line, "a.jsonl"))
