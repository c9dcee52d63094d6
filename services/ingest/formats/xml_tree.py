"""XML files of annotation tools as trees, whatever their encoding, with tags in lower case and without namespaces.

The text is decoded here instead of by the XML parser, which knows four encodings and trusts the declaration. Document
types are read over; entities and whatever else lies outside of the file are refused, since files come from strangers.
"""

import codecs
import re
from typing import TYPE_CHECKING
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from slipway.errors import AnnotationError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

# The first bytes of a file in an encoding of which they give proof, the longer before those that they begin with.
_PROOFS: tuple[tuple[bytes, str], ...] = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (b"<\0\0\0", "utf-32-le"),
    (b"\0\0\0<", "utf-32-be"),
    (b"<\0", "utf-16-le"),
    (b"\0<", "utf-16-be"),
)
_EBCDIC_HEAD = "<?xml".encode("cp037")
_DECLARATION = re.compile(r"<\?xml\s[^>]*?\?>", re.IGNORECASE)
_DECLARED_ENCODING = re.compile(r"<\?xml\s[^>]*?encoding\s*=\s*[\"']\s*([^\"'\s]+)", re.IGNORECASE)
_HEAD = 1000  # bytes in which a declaration is looked for: enough for blank lines and a comment before it
# Encodings whose files often use the letters of a larger one.
_LARGER_ENCODINGS = {"gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "euc_kr": "cp949", "big5": "cp950"}
# Python has these codecs for other purposes than files: some take time that grows with the square of the length.
_NO_FILE_ENCODINGS = {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined"}
_BARE_AMPERSAND = re.compile(r"&(?!#|(?:amp|lt|gt|quot|apos);)")
_EXCERPT = 30  # letters that are shown of the faulty line: enough to recognize it


def parse_xml(content: bytes) -> "Element":
    """Parse an XML file; tags are returned in lower case and without namespaces.

    Raises:
      AnnotationError: It is not XML, is not in the encoding that it declares, or defines or uses entities.
    """
    # Once the text is decoded its declaration is void, and only in the way if anything is before it.
    text = _DECLARATION.sub("", _decode(content), count=1)
    try:
        root: Element = fromstring(text)
    except ParseError as error:
        raise AnnotationError(_describe(error, text)) from error
    except DefusedXmlException as error:
        raise AnnotationError("declares entities in its document type, which no annotation needs") from error
    except ValueError as error:
        raise AnnotationError(f"cannot be parsed as XML ({error})") from error
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2].lower()
    return root


def _decode(content: bytes) -> str:
    encoding = next((encoding for proof, encoding in _PROOFS if content.startswith(proof)), None)
    encoding = encoding or _declared_encoding(content) or "utf-8"
    try:
        return content.decode(encoding)
    except LookupError as error:
        raise AnnotationError(f"declares the encoding {encoding!r}, which is not known; save it as UTF-8") from error
    except UnicodeError as error:
        larger_encoding = _LARGER_ENCODINGS.get(codecs.lookup(encoding).name)
        if larger_encoding is None:
            raise AnnotationError(_describe_wrong_encoding(encoding, content, error)) from error
    try:
        return content.decode(larger_encoding)
    except UnicodeError as error:
        raise AnnotationError(_describe_wrong_encoding(encoding, content, error)) from error


def _declared_encoding(content: bytes) -> str | None:
    """Return the declared encoding in Python's spelling; None where the declaration cannot be true."""
    head = content[:_HEAD].decode("cp037" if content.startswith(_EBCDIC_HEAD) else "latin-1")
    declaration = _DECLARED_ENCODING.search(head)
    if declaration is None:
        return None
    encoding = declaration[1]
    name = encoding.lower().replace("-", "_")
    if name in _NO_FILE_ENCODINGS:
        raise AnnotationError(f"declares the encoding {encoding!r}, which no file has; save it as UTF-8")
    # Read byte by byte, it does not have two or four bytes a letter: programs of Windows declare so and save UTF-8.
    return None if name.startswith(("utf_16", "utf16", "utf_32", "utf32", "unicode", "ucs")) else encoding


def _describe_wrong_encoding(encoding: str, content: bytes, error: UnicodeError) -> str:
    if not content.lstrip().startswith(b"<"):
        return f"is not XML; it begins with {content[:16]!r}"
    position = f": byte {error.start} is not" if isinstance(error, UnicodeDecodeError) else ""
    cure = 'or declare its encoding in the first line, such as <?xml version="1.0" encoding="gbk"?>'
    return f"cannot be decoded as {encoding}{position}; save it as UTF-8, {cure}"


def _describe(error: ParseError, text: str) -> str:
    if not text.strip():
        return "is empty"
    line, column = error.position
    faulty_line = "".join(text.split("\n")[line - 1 : line])
    message = f"line {line}, column {column}: cannot be parsed as XML ({str(error).split(':')[0]})"
    message += f" at {faulty_line[column : column + _EXCERPT]!r}" if faulty_line[column:] else ""
    return f"{message}; write &amp; for &" if _BARE_AMPERSAND.search(faulty_line) else message
