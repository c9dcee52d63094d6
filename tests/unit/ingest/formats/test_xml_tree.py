"""Encodings, declarations and document types of XML files."""

import time

import pytest

from slipway.errors import AnnotationError

from services.ingest.formats.xml_tree import parse_xml

NAMES = {
    "gb2312": "狗",
    "gbk": "狗",
    "gb18030": "狗",
    "big5": "狗",
    "shift_jis": "犬",
    "euc-jp": "犬",
    "iso-2022-jp": "犬",
    "euc-kr": "개",
    "ks_c_5601-1987": "개",
    "koi8-r": "собака",
    "windows-1251": "собака",
    "iso-8859-2": "pieš",
    "windows-1252": "café",
    "mac-roman": "café",
    "cp500": "café",
    "UTF8": "狗",
}


def declared(encoding, name):
    return f'<?xml version="1.0" encoding="{encoding}"?>\n<annotation><name>{name}</name></annotation>'


def name_in(content):
    return parse_xml(content).findtext("name")


@pytest.mark.parametrize(("encoding", "name"), NAMES.items(), ids=NAMES)
def test_every_encoding_of_python_is_read(encoding, name):
    assert name_in(declared(encoding, name).encode(encoding)) == name


def test_letters_beyond_the_declared_encoding_are_read_in_the_one_that_extends_it():
    assert name_in(declared("gb2312", "镕").encode("gbk")) == "镕"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
@pytest.mark.parametrize("declares", [True, False])
def test_unicode_is_recognized_by_its_first_bytes(encoding, declares):
    xml = declared(encoding.removesuffix("-sig"), "狗") if declares else "<annotation><name>狗</name></annotation>"
    assert name_in(xml.encode(encoding)) == "狗"


@pytest.mark.parametrize("encoding", ["utf-16", "UTF-16LE", "unicode", "utf-32"])
def test_declaration_that_cannot_be_true_is_not_believed(encoding):
    assert name_in(declared(encoding, "狗").encode()) == "狗"


@pytest.mark.parametrize("before", ["\n", "\r\n \n", "\n\ufeff", "<!-- exported -->\n"], ids=repr)
def test_whatever_stands_before_the_declaration_does_no_harm(before):
    assert name_in((before.replace("\ufeff", "") + declared("utf-8", "狗")).encode()) == "狗"


@pytest.mark.parametrize(
    "document_type",
    [
        "<!DOCTYPE annotation>",
        '<!DOCTYPE annotation SYSTEM "voc.dtd">',
        "<!DOCTYPE annotation [<!ELEMENT annotation ANY>]>",
    ],
    ids=["bare", "external", "internal"],
)
def test_document_type_without_entities_is_read_over(document_type):
    assert name_in(f'<?xml version="1.0"?>{document_type}<annotation><name>ship</name></annotation>'.encode()) == "ship"


def test_tags_are_returned_in_lower_case_and_without_namespaces():
    root = parse_xml(b'<VOC:Annotation xmlns:VOC="urn:voc" xmlns="urn:other"><Name>ship</Name></VOC:Annotation>')
    assert [element.tag for element in root.iter()] == ["annotation", "name"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(b"", "^is empty$", id="empty"),
        pytest.param(b"\n\n", "^is empty$", id="blank"),
        pytest.param(
            declared("utf-8", "é").encode("latin-1"),
            r"^cannot be decoded as utf-8: byte 57 is not; save it as UTF-8, or declare its encoding in the first line",
            id="other-encoding-than-declared",
        ),
        pytest.param(
            "<annotation><name>狗</name></annotation>".encode("gbk"),
            r"^cannot be decoded as utf-8: byte 18 is not; .* such as <\?xml version=\"1\.0\" encoding=\"gbk\"\?>",
            id="none-declared",
        ),
        pytest.param(declared("klingon", "").encode(), "encoding 'klingon', which is not known; save", id="unknown"),
        pytest.param(declared("zlib", "").encode(), "encoding 'zlib', which is not known; save", id="no-letters"),
        pytest.param(declared("punycode", "").encode(), "encoding 'punycode', which no file has", id="no-file-has-it"),
        pytest.param(
            b"<annotation>\n<name>Tom & Jerry</name></annotation>",
            r"^line 2, column 11: cannot be parsed as XML \(.*\) at .*; write &amp; for &$",
            id="ampersand",
        ),
        pytest.param(b"<annotation>\n<name>a</nam></annotation>", r"^line 2, column 9: .*mismatched tag", id="tags"),
    ],
)
def test_what_cannot_be_read_says_why_and_what_to_do(content, says):
    with pytest.raises(AnnotationError, match=says):
        parse_xml(content)


def test_encoding_that_takes_long_is_not_used():
    start = time.monotonic()
    with pytest.raises(AnnotationError):
        parse_xml(declared("idna", "x" * 500_000).encode())
    assert time.monotonic() - start < 5
